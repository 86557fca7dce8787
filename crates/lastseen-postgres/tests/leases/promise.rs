//! The promise itself: once a termination was answered, no node accepts the session.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lastseen::EndedBy;
use lastseen::conformance::people::{House, LAPTOP, MORNING, person, settings, visit};
use lastseen::sessions::Verdict;
use lastseen_postgres::PostgresStore;
use lastseen_postgres::testing::{Cluster, TestDatabase};

use crate::house::{Kind, Running, until};
use crate::link::Link;

/// A node with real memory. What only notes changes is not told of any more.
async fn node(place: &TestDatabase<'_>, kind: Kind) -> (Running, House) {
    let running = Running::begin(place, kind).await;
    let store = PostgresStore::of_node(running.database.clone(), Arc::clone(&running.nodes));
    let house = House::open_with(Arc::new(store), settings(), MORNING).await;
    running.until_leased().await;
    (running, house)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_node_accepts_a_session_after_its_termination_was_answered_whatever_breaks_meanwhile() {
    const SESSIONS: usize = 60;
    let place = Cluster::shared().database();
    let link = Link::to(Cluster::shared()).await;
    let (_ada, at_ada) = node(&place, Kind::default()).await;
    let (_grace, at_grace) = node(&place, Kind::default()).await;
    let behind_the_link = Kind {
        direct: Some(link.address(&place)),
        ..Kind::default()
    };
    let (lise, at_lise) = node(&place, behind_the_link).await;
    let account = person("ada");
    let mut created = Vec::new();
    for _ in 0..SESSIONS {
        created.push(at_ada.sign_in(&account, MORNING).await);
    }
    let ids: Vec<_> = created.iter().map(|created| created.session.id).collect();
    let tokens: Arc<Vec<_>> = Arc::new(created.into_iter().map(|created| created.token).collect());

    // Devices that come to every node all the time.
    let answered: Arc<Vec<AtomicBool>> =
        Arc::new((0..SESSIONS).map(|_| AtomicBool::new(false)).collect());
    let over = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicU64::new(0));
    let mut devices = Vec::new();
    for house in [&at_ada, &at_grace, &at_lise] {
        let sessions = house.sessions.clone();
        let (tokens, answered) = (Arc::clone(&tokens), Arc::clone(&answered));
        let (over, asked) = (Arc::clone(&over), Arc::clone(&asked));
        devices.push(tokio::spawn(async move {
            let mut accepted = 0;
            while !over.load(Ordering::SeqCst) {
                for (token, answered) in tokens.iter().zip(&*answered) {
                    let was_over = answered.load(Ordering::SeqCst);
                    let text = token.reveal();
                    let verdict = sessions
                        .validate(text.as_bytes(), &visit(7, LAPTOP), MORNING)
                        .await;
                    asked.fetch_add(1, Ordering::Relaxed);
                    // Where the database is out of reach there is no answer, which is right.
                    if matches!(verdict, Ok(Verdict::Active(_))) {
                        assert!(
                            !was_over,
                            "it was accepted after its termination was answered"
                        );
                        accepted += 1;
                    }
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            accepted
        }));
    }

    for (number, id) in ids.iter().enumerate() {
        match number {
            // One node cannot reach the database any more, and comes back.
            10 => link.hold(),
            13 => link.let_go(),
            // All connections are cut.
            25 | 40 => {
                place.psql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()",
                );
            }
            30 => lise.until_leased().await,
            _ => {}
        }
        // Who cannot reach the database answers no termination.
        let able = if (10..13).contains(&number) { 2 } else { 3 };
        let house = [&at_ada, &at_grace, &at_lise][number % able];
        // One whose connection was cut under it does not know whether it has ended; it is asked again.
        let mut ended = Err(());
        while ended.is_err() {
            let by = EndedBy::Command;
            let ending = house
                .sessions
                .terminate(&account.key, &[*id], by, MORNING)
                .await;
            ended = ending.map_err(|_| ());
        }
        answered[number].store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    until("every device has asked again", {
        let asked_then = asked.load(Ordering::Relaxed);
        let asked = Arc::clone(&asked);
        move || asked.load(Ordering::Relaxed) > asked_then + 3 * 3 * SESSIONS as u64
    })
    .await;
    over.store(true, Ordering::SeqCst);
    for device in devices {
        assert!(
            device.await.unwrap() > 0,
            "a node that accepts nothing proves nothing"
        );
    }
    for house in [&at_ada, &at_grace, &at_lise] {
        let hits = house.sessions.statistics().cache_hits;
        assert!(hits > 0, "memory that never answers proves nothing either");
    }
}

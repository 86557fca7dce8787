//! A session that is used is expired by nobody; one that was found expired stays so.

use super::{AnyStore, Call, Node, two_nodes};
use crate::conformance::people::{DAY, HOUR, MORNING, after, person, settings};
use crate::policy::Settings;
use crate::session::{EndedBy, Status};
use crate::sessions::{Created, Refusal};

/// Its use is in the memory of the node that it goes to, and the other one remembers an old one.
pub async fn a_session_used_on_one_node_only_is_not_expired_by_the_other(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    second.keeps_ready(&laptop.token, after(1)).await;
    second.flush(after(1)).await;
    for part in 1..40 {
        let now = part * HOUR / 4;
        assert!(first.accepts(&laptop.token, after(now)).await);
        first.flush(after(now + 30)).await;
    }
    // For ten hours the second one has heard of no use.
    assert!(second.accepts(&laptop.token, after(10 * HOUR)).await);
}

/// The rounds of writing have failed, or come late: then every use is written by itself.
pub async fn a_session_is_not_expired_by_the_other_node_because_rounds_of_writing_are_late(
    store: AnyStore,
) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    for second_of in [1_000, 2_000, 3_000] {
        assert!(first.accepts(&laptop.token, after(second_of)).await);
    }
    // By its last use but one it would be expired.
    assert!(second.accepts(&laptop.token, after(2_000 + HOUR)).await);
}

/// The same with all that a server does, use after use close to the deadline.
pub async fn a_session_used_just_in_time_is_not_expired_by_the_other(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    let mut used = 0;
    for _ in 0..6 {
        // Rounds succeed; of this use the next one would come too late.
        used += HOUR - 1;
        first.flush(after(used - 1)).await;
        assert!(first.accepts(&laptop.token, after(used)).await);
        assert!(second.accepts(&laptop.token, after(used + 2)).await);
        used += 2;
    }
}

/// Between the read and the verdict somebody uses it.
pub async fn a_use_recorded_between_a_read_and_the_verdict_keeps_the_session(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    let gate = second.hold(Call::Expiring);
    let use_it = async {
        gate.reached().await;
        assert!(first.accepts(&laptop.token, after(HOUR - 1)).await);
        gate.open();
    };
    // The clock of the second one is a second ahead.
    let (verdict, ()) = tokio::join!(second.shown(&laptop.token, after(HOUR)), use_it);
    assert!(matches!(
        verdict.expect("the store is in order"),
        crate::Verdict::Active(_)
    ));
    assert!(first.accepts(&laptop.token, after(HOUR)).await);
}

/// Whoever looks at it on the node that has an old use in memory.
pub async fn what_memory_takes_for_expired_is_read_again_for_every_verb(store: AnyStore) {
    let (first, second) = two_nodes(store.clone()).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    second.keeps_ready(&laptop.token, after(1)).await;
    second.flush(after(1)).await;
    assert!(first.accepts(&laptop.token, after(HOUR - 5)).await);
    first.flush(after(HOUR - 4)).await;
    let (sessions, now) = (&second.house.sessions, after(HOUR + 5));
    let id = laptop.session.id;
    sessions.observe(now);
    let text = laptop.token.reveal();
    let identified = sessions.identify(text.as_bytes(), now).await;
    assert!(identified.expect("the store is in order").is_some());
    let given = sessions.page_token(id, now, &second.house.dice).await;
    assert!(given.expect("the store is in order").is_some());
    let listed = sessions
        .list(&laptop.session.account.key, Some(id), 10, None, now)
        .await;
    let listed = listed.expect("the store is in order");
    assert_eq!(listed.sessions[0].status(now), Status::Active);
    second.terminate(&laptop, HOUR + 5).await;
    let found = store.find(id).await.expect("the store is in order");
    let ending = found.and_then(|record| record.ended);
    assert_eq!(ending.expect("it was ended").by, EndedBy::Command);
}

/// What somebody was told is final, also where it rests on a wrong clock.
pub async fn expired_is_final_on_both_nodes_although_one_clock_is_an_hour_ahead(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    first.keeps_ready(&laptop.token, after(1)).await;
    first.flush(after(1)).await;
    let by_the_second = |second_of: u64| after(second_of + HOUR);
    assert_eq!(
        second.refuses(&laptop.token, by_the_second(2)).await,
        Some(Refusal::Expired)
    );
    assert_expired_for_good(&first, &laptop, 3).await;
    assert_expired_for_good(&second, &laptop, 4 + HOUR).await;
}

/// The node with the right time finds it expired; the other would accept it for an hour more.
pub async fn expired_is_final_on_both_nodes_although_one_clock_is_an_hour_behind(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    let noon = 2 * HOUR;
    assert!(second.accepts(&laptop.token, after(noon - HOUR - 10)).await);
    first.house.sessions.observe(after(noon));
    second.flush(after(noon - HOUR - 10)).await;
    let refused = first.refuses(&laptop.token, after(noon)).await;
    assert_eq!(refused, Some(Refusal::Expired));
    assert_expired_for_good(&second, &laptop, noon - HOUR).await;
    assert_expired_for_good(&first, &laptop, noon + 1).await;
}

/// Without a lease, with one, after a restart, by whichever verb.
async fn assert_expired_for_good(node: &Node, created: &Created, second: u64) {
    let (sessions, now) = (&node.house.sessions, after(second));
    let id = created.session.id;
    for leased in [true, false, true] {
        if leased {
            node.begin_term().await;
        } else {
            node.lose_lease();
        }
        let refused = node.refuses(&created.token, now).await;
        assert_eq!(refused, Some(Refusal::Expired));
        let page = sessions
            .list(&created.session.account.key, None, 10, None, now)
            .await;
        let page = page.expect("the store is in order");
        let listed: Vec<_> = page
            .sessions
            .iter()
            .map(|session| (session.id, session.status(now)))
            .collect();
        assert_eq!(listed, [(id, Status::Expired)]);
        assert!(page.sessions[0].time_left(now).is_zero());
        let given = sessions.page_token(id, now, &node.house.dice).await;
        assert!(given.expect("the store is in order").is_none());
        let text = created.token.reveal();
        let identified = sessions.identify(text.as_bytes(), now).await;
        assert!(identified.expect("the store is in order").is_none());
    }
}

/// It was used, the use is not written, and another node has found it expired meanwhile.
pub async fn a_late_use_revives_nothing(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    first.flush(after(1_000)).await;
    assert!(first.accepts(&laptop.token, after(1_010)).await);
    // The clock of the second one is ahead, and the store knows of no use since the morning.
    let refused = second.refuses(&laptop.token, after(HOUR + 5)).await;
    assert_eq!(refused, Some(Refusal::Expired));
    first.flush(after(1_020)).await;
    let renewed = (first.house.sessions)
        .renew_token(laptop.session.id, &first.house.dice)
        .await;
    let renewed = renewed.expect("the store is in order");
    for token in renewed.iter().chain([&laptop.token]) {
        for node in [&first, &second] {
            assert!(!node.accepts(token, after(1_030)).await);
        }
    }
    assert_expired_for_good(&first, &laptop_with(laptop, renewed), 1_040).await;
}

/// The session, under the token that it has now.
fn laptop_with(created: Created, renewed: Option<crate::SessionToken>) -> Created {
    Created {
        token: renewed.unwrap_or(created.token),
        session: created.session,
    }
}

/// `Remove` on the page of the node that takes it for active by its clock.
pub async fn an_expired_session_is_removed_from_the_list_by_either_node(store: AnyStore) {
    let (first, second) = two_nodes(store.clone()).await;
    let ada = person("ada");
    for remover in [&first, &second] {
        let laptop = first.house.sign_in(&ada, MORNING).await;
        let refused = second.refuses(&laptop.token, after(HOUR + 10)).await;
        assert_eq!(refused, Some(Refusal::Expired));
        remover.terminate(&laptop, 2).await;
        for node in [&first, &second] {
            assert!(node.house.listed(&ada, None, after(3)).await.is_empty());
            assert!(!node.accepts(&laptop.token, after(3)).await);
        }
        let found = store.find(laptop.session.id).await;
        let record = found.expect("the store is in order");
        let ending = record.and_then(|record| record.ended);
        let ending = ending.expect("it was removed");
        assert_eq!(ending.by, EndedBy::Deadline);
    }
}

/// A node that tidies reads a record before the other one has written its last use.
pub async fn tidying_does_not_end_what_the_other_node_is_using(store: AnyStore) {
    let short = Settings {
        keep_expired: std::time::Duration::from_secs(1),
        ..settings()
    };
    let (first, second) = super::two_nodes_with(store, short).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    let gate = second.hold(Call::Walked);
    let use_it = async {
        gate.reached().await;
        assert!(first.accepts(&laptop.token, after(HOUR - 1)).await);
        gate.open();
    };
    // Its clock is two seconds ahead.
    let (tidied, ()) = tokio::join!(second.house.sessions.tidy(after(HOUR + 1)), use_it);
    let tidied = tidied.expect("the store is in order");
    assert_eq!((tidied.active, tidied.ended), (1, 0));
    assert!(first.accepts(&laptop.token, after(HOUR)).await);
    // Once it is of no use any more it goes.
    let tidied = second.house.sessions.tidy(after(DAY)).await;
    assert_eq!(tidied.expect("the store is in order").ended, 1);
    assert!(!first.accepts(&laptop.token, after(HOUR + 5)).await);
}

/// A clock that jumps a year ahead on one node is no reason for the others to end sessions when they restart.
pub async fn a_node_that_restarts_does_not_go_by_the_wrong_clock_of_another(store: AnyStore) {
    let (mut first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    let phone = first.house.sign_in(&person("bob"), MORNING).await;
    let a_year = 365 * DAY;
    assert_eq!(
        second.refuses(&laptop.token, after(a_year)).await,
        Some(Refusal::Expired)
    );
    second.flush(after(a_year)).await;
    first.restart(settings(), after(10)).await;
    assert!(first.accepts(&phone.token, after(11)).await);
    assert_eq!(first.house.sessions.observe(after(12)), after(12));
    assert_expired_for_good(&first, &laptop, 13).await;
}

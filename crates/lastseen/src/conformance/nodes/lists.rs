//! Two nodes say the same of an account.

use super::{AnyStore, two_nodes};
use crate::conformance::life;
use crate::conformance::people::{
    Dice, LAPTOP, MORNING, PHONE, address, after, person, settings, visit,
};
use crate::session::Session;
use crate::time::Timestamp;

async fn listed(node: &super::Node, now: Timestamp) -> Vec<Session> {
    let page = (node.house.sessions)
        .list(&person("ada").key, None, 100, None, now)
        .await;
    page.expect("the store is in order").sessions
}

/// Nobody is told of a sign-in: so no list comes from memory.
pub async fn a_session_that_began_on_one_node_is_in_the_list_of_the_other_at_once(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let ada = person("ada");
    let mut signed_in = Vec::new();
    for (number, node) in (0..).zip([&first, &second, &first]) {
        let created = node.house.sign_in(&ada, after(number)).await;
        signed_in.insert(0, created.session.id);
        for node in [&first, &second] {
            assert_eq!(
                node.house.listed(&ada, None, after(number)).await,
                signed_in
            );
            let overview = node.house.sessions.overview(&ada.key, after(number)).await;
            let overview = overview.expect("the store is in order");
            assert_eq!(overview.active, signed_in.len());
        }
    }
}

/// As soon as both have written what they know.
pub async fn two_nodes_list_alike_once_they_have_written(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let ada = person("ada");
    let mut devices = Vec::new();
    for number in 0..6 {
        devices.push(first.house.sign_in(&ada, after(number)).await);
    }
    for (number, created) in (10..16_u8).zip(&devices) {
        let node = if number % 2 == 0 { &first } else { &second };
        let text = created.token.reveal();
        let brought = visit(number, PHONE);
        let used = (node.house.sessions)
            .validate(text.as_bytes(), &brought, after(u64::from(number)))
            .await;
        assert!(matches!(used, Ok(crate::Verdict::Active(_))));
    }
    for node in [&first, &second] {
        node.flush(after(20)).await;
    }
    let of_both = [
        listed(&first, after(20)).await,
        listed(&second, after(20)).await,
    ];
    for sessions in &of_both {
        let seen: Vec<_> = (sessions.iter())
            .map(|session| (session.id, session.last_used_at, session.ip_address))
            .collect();
        let expected: Vec<_> = (10..16_u8)
            .zip(&devices)
            .map(|(number, created)| {
                let from = Some(address(number));
                (created.session.id, after(u64::from(number)), from)
            })
            .rev()
            .collect();
        assert_eq!(seen, expected);
        assert_eq!(sessions[0].device.label(), "Chrome 120 on Android");
    }
}

/// A use is exact on its own node, and known to the other as soon as it is written.
pub async fn lists_of_two_nodes_differ_by_no_more_than_what_is_not_written_yet(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    second.keeps_ready(&laptop.token, after(1)).await;
    let period = first.house.sessions.flush_period();
    assert!(2 * period <= settings().touch_interval);
    second.flush(after(1)).await;
    let mut seconds = 1;
    for _ in 0..10 {
        seconds += period.as_secs();
        let used_at = after(seconds - 1);
        assert!(first.accepts(&laptop.token, used_at).await);
        assert_eq!(listed(&first, used_at).await[0].last_used_at, used_at);
        let elsewhere = listed(&second, used_at).await[0].last_used_at;
        assert!(used_at.duration_since(elsewhere) <= settings().touch_interval);
        for node in [&first, &second] {
            node.flush(after(seconds)).await;
        }
        assert_eq!(
            listed(&second, after(seconds)).await[0].last_used_at,
            used_at
        );
    }
}

/// Used by turns: memory must not put back what the other node has seen later.
pub async fn the_last_use_is_the_latest_of_both_nodes_whoever_writes_last(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    let text = laptop.token.reveal();
    for (node, user_agent, second_of) in [(&first, LAPTOP, 10), (&second, PHONE, 20)] {
        let used = (node.house.sessions)
            .validate(text.as_bytes(), &visit(7, user_agent), after(second_of))
            .await;
        assert!(matches!(used, Ok(crate::Verdict::Active(_))));
    }
    second.flush(after(21)).await;
    first.flush(after(22)).await;
    for node in [&first, &second] {
        let seen = listed(node, after(23)).await;
        assert_eq!(seen[0].last_used_at, after(20));
        assert_eq!(seen[0].device.label(), "Chrome 120 on Android");
    }
    // A lease lost and won again: the first one reads what it had, and shows the later of the two.
    first.lose_lease();
    first.begin_term().await;
    let found = first
        .house
        .sessions
        .find(laptop.session.id, after(24))
        .await;
    let found = found.expect("the store is in order").expect("it is active");
    assert_eq!(found.last_used_at, after(20));
}

/// Signing in, using, ending, waiting, tidying, restarting, now here and now there.
pub async fn a_random_life_on_two_nodes_agrees_with_a_simple_model(store: AnyStore) {
    let dice = Dice::default();
    life::live_on_two_nodes(store, &life::random(600, 43), &dice).await;
}

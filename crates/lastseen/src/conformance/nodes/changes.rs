//! What one node has answered holds on the other.

use std::time::Duration;

use super::{AnyStore, Call, two_nodes};
use crate::account::AccountSource;
use crate::conformance::people::{
    LAPTOP, MORNING, account, after, person, policy, settings, visit,
};
use crate::policy::{Policy, Settings};
use crate::session::EndedBy;
use crate::sessions::{NewSession, Refusal, TerminateError, Verdict};

/// The promise.
pub async fn a_session_terminated_on_one_node_is_refused_on_the_other(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    first.keeps_ready(&laptop.token, after(1)).await;
    second.keeps_ready(&laptop.token, after(1)).await;
    first.terminate(&laptop, 2).await;
    for node in [&first, &second] {
        assert_eq!(
            node.refuses(&laptop.token, after(2)).await,
            Some(Refusal::Ended)
        );
    }
}

/// All or none, and counted once, whichever node they are known to.
pub async fn many_sessions_are_terminated_all_or_none_by_a_node_that_knows_none_of_them(
    store: AnyStore,
) {
    let (first, second) = two_nodes(store).await;
    let (ada, bob) = (person("ada"), person("bob"));
    let mut created = Vec::new();
    for second in 0..12 {
        created.push(first.house.sign_in(&ada, after(second)).await);
    }
    let others = first.house.sign_in(&bob, MORNING).await.session.id;
    let own: Vec<_> = created.iter().map(|created| created.session.id).collect();
    let with_anothers: Vec<_> = own.iter().copied().chain([others]).collect();
    let sessions = &second.house.sessions;
    let ended = sessions
        .terminate(&ada.key, &with_anothers, EndedBy::Command, after(20))
        .await;
    assert!(matches!(ended, Err(TerminateError::NotFound)));
    assert!(first.accepts(&created[0].token, after(20)).await);
    for expected in [12, 0] {
        let ended = sessions
            .terminate(&ada.key, &own, EndedBy::Command, after(21))
            .await;
        assert_eq!(ended.expect("they are Ada's"), expected);
    }
    for created in &created {
        assert!(!first.accepts(&created.token, after(21)).await);
    }
}

/// Two ask at once for the same to end. Who finds nothing left must not answer before it is refused
/// everywhere; a node that has not heard of the end yet may be the one's own.
pub async fn who_finds_nothing_left_to_end_answers_when_nobody_accepts_it_any_more(
    store: AnyStore,
) {
    let (first, second) = two_nodes(store).await;
    let ada = person("ada");
    for keeps_one in [false, true] {
        let laptop = first.house.sign_in(&ada, MORNING).await;
        second.keeps_ready(&laptop.token, after(2)).await;
        let kept = if keeps_one {
            Some(first.house.sign_in(&ada, after(1)).await.session.id)
        } else {
            None
        };
        let gate = first.hold(Call::Ended);
        let (key, ids) = (&ada.key, [laptop.session.id]);
        let ending = first
            .house
            .sessions
            .terminate(key, &ids, EndedBy::Command, after(3));
        let again = async {
            // It is on record, and nobody has been told.
            gate.reached().await;
            let others =
                second
                    .house
                    .sessions
                    .terminate_others(key, kept, EndedBy::Command, after(3));
            assert_eq!(others.await.expect("the store is in order"), 0);
            for node in [&first, &second] {
                let refused = node.refuses(&laptop.token, after(3)).await;
                assert_eq!(refused, Some(Refusal::Ended));
            }
            gate.open();
        };
        let (ended, ()) = tokio::join!(ending, again);
        assert_eq!(ended.expect("the store is in order"), 1);
    }
}

/// A sign-in ends the session that the browser brought along, on every node.
pub async fn a_session_that_gives_way_on_one_node_is_refused_on_the_other(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let ada = person("ada");
    let old = first.house.sign_in(&ada, MORNING).await;
    first.keeps_ready(&old.token, after(1)).await;
    let text = old.token.reveal();
    let new = NewSession {
        account: &ada,
        remembered: false,
        visit: visit(7, LAPTOP),
        replaces: Some(text.as_bytes()),
    };
    let created = (second.house.sessions)
        .create(new, after(2), &second.house.dice)
        .await;
    let created = created.expect("the store is in order");
    assert!(!first.accepts(&old.token, after(2)).await);
    for node in [&first, &second] {
        assert!(node.accepts(&created.token, after(2)).await);
    }
}

/// A change of the password on one node.
pub async fn a_token_renewed_on_one_node_counts_on_the_other_and_the_old_one_does_not(
    store: AnyStore,
) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    first.keeps_ready(&laptop.token, after(1)).await;
    let mut tokens = vec![laptop.token];
    // To and fro: each node has to know how often it was renewed by the other.
    for node in [&second, &first, &second] {
        let renewed = (node.house.sessions)
            .renew_token(laptop.session.id, &node.house.dice)
            .await;
        let renewed = renewed.expect("the store is in order");
        tokens.push(renewed.expect("the session is active"));
        let (newest, older) = tokens.split_last().expect("there are two or more");
        for node in [&first, &second] {
            node.keeps_ready(newest, after(2)).await;
            for old in older {
                assert_eq!(
                    node.refuses(old, after(2)).await,
                    Some(Refusal::WrongSecret)
                );
            }
        }
    }
}

/// A link into the pages that is opened at another node than it was asked for.
pub async fn a_page_token_given_by_one_node_takes_the_place_of_the_one_before_on_both(
    store: AnyStore,
) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    let id = laptop.session.id;
    let mut pages = Vec::new();
    for node in [&first, &second] {
        let given = (node.house.sessions)
            .page_token(id, after(1), &node.house.dice)
            .await;
        let given = given.expect("the store is in order");
        pages.push(given.expect("the session is active"));
        first
            .keeps_ready(pages.last().expect("just pushed"), after(1))
            .await;
    }
    for node in [&first, &second] {
        assert!(!node.accepts(&pages[0], after(2)).await);
        node.keeps_ready(&pages[1], after(2)).await;
        node.keeps_ready(&laptop.token, after(2)).await;
    }
}

/// A person who signs in again under another name.
pub async fn an_account_renamed_on_one_node_is_called_so_on_the_other(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let ada = account(AccountSource::BuiltIn, "7", "ada");
    let laptop = first.house.sign_in(&ada, MORNING).await;
    first.keeps_ready(&laptop.token, after(1)).await;
    let lovelace = account(AccountSource::BuiltIn, "7", "lovelace");
    second.house.sign_in(&lovelace, after(2)).await;
    match first.house.show(&laptop.token, after(3)).await {
        Verdict::Active(session) => assert_eq!(&*session.account.name, "lovelace"),
        Verdict::Refused(refusal) => panic!("{refusal:?}"),
    }
    let name = first.house.sessions.name_of(&ada.key).await;
    assert_eq!(
        name.expect("the store is in order").as_deref(),
        Some("lovelace")
    );
}

/// A setting that an operator tightens, node by node.
pub async fn a_policy_tightened_on_one_node_counts_at_once_on_the_other(store: AnyStore) {
    let (mut first, second) = two_nodes(store).await;
    let used = first.house.sign_in(&person("ada"), MORNING).await;
    second.keeps_ready(&used.token, after(1)).await;
    first.restart(within_ten_minutes(), after(2)).await;
    assert!(second.has_lease());
    assert!(second.accepts(&used.token, after(600)).await);
    assert_eq!(
        second.refuses(&used.token, after(1_200)).await,
        Some(Refusal::Expired)
    );
    // Whoever signs in there now is bound by it from the beginning.
    let new = second.house.sign_in(&person("bob"), after(1_300)).await;
    assert_eq!(new.session.expires_at, after(1_900));
}

/// Nobody tells a node of a policy that has no lease.
pub async fn a_policy_tightened_elsewhere_counts_at_once_on_a_node_without_a_lease(
    store: AnyStore,
) {
    let (mut first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    second.keeps_ready(&laptop.token, after(1)).await;
    second.flush(after(1)).await;
    second.lose_lease();
    first.restart(within_ten_minutes(), after(2)).await;
    let page = (second.house.sessions)
        .list(&laptop.session.account.key, None, 10, None, after(3))
        .await;
    let page = page.expect("the store is in order");
    assert_eq!(page.sessions[0].expires_at, after(601));
    assert_eq!(
        second.refuses(&laptop.token, after(601)).await,
        Some(Refusal::Expired)
    );
}

fn within_ten_minutes() -> Settings {
    Settings {
        policy: Policy {
            idle_timeout: Duration::from_secs(600),
            ..policy()
        },
        ..settings()
    }
}

/// The answer of the store to a sign-in is on its way, and the new session is ended by the other node.
pub async fn a_session_that_ended_before_its_own_node_heard_of_it_is_refused(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let ada = person("ada");
    let gate = first.hold(Call::Inserted);
    let sign_in = first.house.sign_in(&ada, MORNING);
    let end = async {
        gate.reached().await;
        let ended = (second.house.sessions)
            .terminate_account(&ada.key, EndedBy::Command, after(1))
            .await;
        assert_eq!(ended.expect("the store is in order"), 1);
        gate.open();
    };
    let (created, ()) = tokio::join!(sign_in, end);
    assert_eq!(
        first.refuses(&created.token, after(1)).await,
        Some(Refusal::Ended)
    );
}

/// The limit is one for all nodes.
pub async fn the_limit_of_an_account_counts_the_sessions_of_both_nodes(store: AnyStore) {
    let limited = Settings {
        max_sessions_per_account: std::num::NonZeroU32::new(3),
        ..settings()
    };
    let (first, second) = super::two_nodes_with(store, limited).await;
    let ada = person("ada");
    let mut devices = Vec::new();
    for (number, node) in (0..).zip([&first, &second, &first, &second]) {
        devices.push(node.house.sign_in(&ada, after(number)).await);
    }
    for node in [&first, &second] {
        assert!(!node.accepts(&devices[0].token, after(5)).await);
        for created in &devices[1..] {
            assert!(node.accepts(&created.token, after(5)).await);
        }
    }
}

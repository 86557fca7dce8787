//! What only one store needs to show: faults, lost listeners, and lives that proptest can shrink.

use std::sync::Arc;

use proptest::prelude::*;

use crate::account::AccountSource;
use crate::conformance::life::{Step, live, live_on_two_nodes};
use crate::conformance::nodes::{Call, NodeStore};
use crate::conformance::people::{
    DAY, Dice, HOUR, House, LAPTOP, MORNING, account, after, person, settings, visit,
};
use crate::session::{EndedBy, Ending, SessionId};
use crate::sessions::{TerminateError, Verdict};
use crate::store::memory::MemoryStore;
use crate::store::{End, Store};

#[tokio::test]
async fn a_session_in_memory_is_accepted_while_the_store_is_lost() {
    let store = Arc::new(MemoryStore::new());
    let house = House::open(store.clone()).await;
    let laptop = house.sign_in(&person("ada"), MORNING).await;
    store.set_unavailable(true);
    assert!(house.accepts(&laptop.token, after(1)).await);
}

#[tokio::test]
async fn memory_alone_accepts_what_it_knows_and_leaves_all_else_to_the_store() {
    let store = Arc::new(MemoryStore::new());
    let house = House::open(store.clone()).await;
    let ada = person("ada");
    let laptop = house.sign_in(&ada, MORNING).await;
    let token = laptop.token.reveal();
    let from_memory = |house: &House, token: &str, now| {
        (house.sessions).validate_from_memory(token.as_bytes(), &visit(7, LAPTOP), now, |session| {
            session.account.name.clone()
        })
    };
    assert_eq!(
        from_memory(&house, &token, after(1)),
        Some(ada.name.clone())
    );
    assert_eq!(from_memory(&house, "no token", after(1)), None);
    let restarted = House::open(store).await;
    assert_eq!(from_memory(&restarted, &token, after(1)), None);
    assert!(restarted.accepts(&laptop.token, after(1)).await);
    house
        .sessions
        .terminate(&ada.key, &[laptop.session.id], EndedBy::Command, after(2))
        .await
        .unwrap();
    assert_eq!(from_memory(&house, &token, after(2)), None);
}

#[tokio::test]
async fn a_session_that_only_the_store_knows_is_unavailable_while_it_is_lost() {
    let store = Arc::new(MemoryStore::new());
    let house = House::open(store.clone()).await;
    let laptop = house.sign_in(&person("ada"), MORNING).await;
    let house = House::open(store.clone()).await;
    store.set_unavailable(true);
    let token = laptop.token.reveal();
    let verdict = house
        .sessions
        .validate(token.as_bytes(), &visit(7, LAPTOP), after(1))
        .await;
    assert!(verdict.is_err());
    store.set_unavailable(false);
    assert!(house.accepts(&laptop.token, after(1)).await);
}

#[tokio::test]
async fn every_session_says_what_its_account_was_last_called() {
    let house = House::open(Arc::new(MemoryStore::new())).await;
    let called = |name| account(AccountSource::BuiltIn, "ada", name);
    let laptop = house.sign_in(&called("Ada"), MORNING).await;
    let phone = house.sign_in(&called("Ada"), after(1)).await;
    house.sign_in(&called("Ada L."), after(2)).await;
    for device in [laptop, phone] {
        let token = device.token.reveal();
        let verdict = house
            .sessions
            .validate(token.as_bytes(), &visit(7, LAPTOP), after(3))
            .await;
        let Ok(Verdict::Active(session)) = verdict else {
            panic!("it is active");
        };
        assert_eq!(&*session.account.name, "Ada L.");
    }
}

#[tokio::test]
async fn a_termination_that_failed_is_not_answered_from_memory_afterwards() {
    let store = Arc::new(MemoryStore::new());
    let house = House::open(store.clone()).await;
    let ada = person("ada");
    let laptop = house.sign_in(&ada, MORNING).await;
    store.set_unavailable(true);
    let ended = house
        .sessions
        .terminate(&ada.key, &[laptop.session.id], EndedBy::Command, after(1))
        .await;
    assert!(matches!(ended, Err(TerminateError::Unavailable(_))));
    // Nobody knows whether it happened: memory must not say that it did not.
    let token = laptop.token.reveal();
    assert!(
        house
            .sessions
            .validate(token.as_bytes(), &visit(7, LAPTOP), after(1))
            .await
            .is_err()
    );
    store.set_unavailable(false);
    assert!(house.accepts(&laptop.token, after(1)).await);
}

#[tokio::test]
async fn uses_that_could_not_be_written_are_written_later() {
    let store = Arc::new(MemoryStore::new());
    let house = House::open(store.clone()).await;
    let laptop = house.sign_in(&person("ada"), MORNING).await;
    assert!(house.accepts(&laptop.token, after(5)).await);
    store.set_unavailable(true);
    assert!(house.sessions.flush(after(6)).await.is_err());
    store.set_unavailable(false);
    house.sessions.flush(after(7)).await.unwrap();
    let record = house.store.find(laptop.session.id).await.unwrap().unwrap();
    assert_eq!(record.last_used_at, after(5));
}

#[tokio::test]
async fn uses_whose_writing_was_broken_off_are_written_later() {
    let node = Arc::new(NodeStore::sole(Arc::new(MemoryStore::new())));
    let house = House::open(Arc::clone(&node) as Arc<dyn Store>).await;
    let mut devices = Vec::new();
    for name in ["ada", "bob", "eve"] {
        devices.push(house.sign_in(&person(name), MORNING).await);
    }
    // Wherever it is: before it begins, while it gathers what there is to write, and while the store writes it.
    for pauses in 0..300 {
        let used_at = after(1 + pauses);
        for device in &devices {
            assert!(house.accepts(&device.token, used_at).await);
        }
        let gate = node.hold(Call::Touching);
        let mut flush = Box::pin(house.sessions.flush(used_at));
        for _ in 0..pauses {
            let polled = std::future::poll_fn(|context| {
                std::task::Poll::Ready(std::future::Future::poll(flush.as_mut(), context))
            });
            assert!(polled.await.is_pending());
        }
        drop(flush);
        gate.open();
        house.sessions.flush(used_at).await.unwrap();
        for device in &devices {
            let record = house.store.find(device.session.id).await.unwrap().unwrap();
            assert_eq!(record.last_used_at, used_at, "after {pauses} pauses");
        }
    }
}

#[tokio::test]
async fn an_expiry_that_cannot_be_recorded_is_no_acceptance() {
    let store = Arc::new(MemoryStore::new());
    let house = House::open(store.clone()).await;
    let laptop = house.sign_in(&person("ada"), MORNING).await;
    store.set_unavailable(true);
    let token = laptop.token.reveal();
    let verdict = house
        .sessions
        .validate(token.as_bytes(), &visit(7, LAPTOP), after(HOUR))
        .await;
    assert!(!matches!(verdict, Ok(Verdict::Active(_))));
}

#[tokio::test]
async fn a_termination_is_carried_through_although_nobody_waits_for_it() {
    let house = House::open(Arc::new(MemoryStore::new())).await;
    let ada = person("ada");
    let laptop = house.sign_in(&ada, MORNING).await;
    let ids = [laptop.session.id];
    let ending = house
        .sessions
        .terminate(&ada.key, &ids, EndedBy::Command, after(1));
    // Polled once, so that it has begun; then dropped, as when a browser hangs up.
    let mut ending = Box::pin(ending);
    let begun = std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::future::Future::poll(ending.as_mut(), context).is_ready())
    });
    let answered = begun.await;
    drop(ending);
    if !answered {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    assert!(!house.accepts(&laptop.token, after(1)).await);
    assert!(
        house
            .store
            .find(laptop.session.id)
            .await
            .unwrap()
            .unwrap()
            .ended
            .is_some()
    );
}

#[tokio::test]
async fn who_finds_nothing_left_to_end_answers_when_memory_does_not_accept_it_any_more() {
    let node = Arc::new(NodeStore::sole(Arc::new(MemoryStore::new())));
    let house = House::open(Arc::clone(&node) as Arc<dyn Store>).await;
    let ada = person("ada");
    let laptop = house.sign_in(&ada, MORNING).await;
    // After a restart memory knows this session, and of no account that it is all.
    let house = house.restarted_with(settings(), after(1)).await;
    assert!(house.accepts(&laptop.token, after(1)).await);
    let gate = node.hold(Call::Ended);
    let ids = [laptop.session.id];
    let ending = house
        .sessions
        .terminate(&ada.key, &ids, EndedBy::Command, after(2));
    let again = async {
        // The store has ended it, and the one who asked for that has not heard it yet.
        gate.reached().await;
        let sessions = &house.sessions;
        let ended = sessions.terminate_account(&ada.key, EndedBy::Command, after(2));
        assert_eq!(ended.await.unwrap(), 0);
        let accepted = house.accepts(&laptop.token, after(2)).await;
        gate.open();
        accepted
    };
    let (ended, accepted) = tokio::join!(ending, again);
    assert_eq!(ended.unwrap(), 1);
    assert!(!accepted);
}

#[tokio::test]
async fn what_ended_although_the_answer_was_lost_is_in_no_list() {
    let store = Arc::new(MemoryStore::new());
    let node = Arc::new(NodeStore::sole(store.clone()));
    let house = House::open(Arc::clone(&node) as Arc<dyn Store>).await;
    let ada = person("ada");
    let laptop = house.sign_in(&ada, MORNING).await;
    let phone = house.sign_in(&ada, after(1)).await;
    assert_eq!(house.listed(&ada, None, after(2)).await.len(), 2);
    let (sessions, ids) = (&house.sessions, [laptop.session.id]);
    node.set_reachable(false);
    let ended = sessions.terminate(&ada.key, &ids, EndedBy::Command, after(3));
    assert!(matches!(ended.await, Err(TerminateError::Unavailable(_))));
    // It has come to the store all the same.
    let ending = Ending {
        at: after(3),
        by: EndedBy::Command,
        left_list_at: after(3),
    };
    let end = End {
        id: ids[0],
        ending,
        last_use: None,
    };
    store.end(None, vec![end]).await.unwrap();
    node.set_reachable(true);
    for _ in 0..2 {
        let listed = house.listed(&ada, None, after(4)).await;
        assert_eq!(listed, [phone.session.id]);
    }
    assert!(!house.accepts(&laptop.token, after(4)).await);
    assert!(house.accepts(&phone.token, after(4)).await);
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..3, any::<bool>()).prop_map(|(person, remembered)| Step::SignIn { person, remembered }),
        6 => (0_usize..40, 0_u8..9).prop_map(|(token, address)| Step::Show { token, address }),
        2 => (0_usize..3, 0_usize..40).prop_map(|(person, session)| Step::Terminate { person, session }),
        1 => (0_usize..3, 0_usize..40).prop_map(|(person, session)| Step::TerminateOthers { person, session }),
        1 => (0_usize..40).prop_map(|session| Step::Renew { session }),
        3 => (0_usize..3).prop_map(|person| Step::List { person }),
        1 => Just(Step::Flush),
        1 => Just(Step::Tidy),
        3 => (1..3 * HOUR).prop_map(|seconds| Step::Wait { seconds }),
        1 => (0..2 * DAY).prop_map(|seconds| Step::SetBack { seconds }),
        1 => (1_u64..180).prop_map(|idle_minutes| Step::Restart { idle_minutes }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_life_of_sessions_agrees_with_a_simple_model(steps in proptest::collection::vec(any_step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(live(Arc::new(MemoryStore::new()), &steps));
    }

    #[test]
    fn any_life_of_one_node_among_others_agrees_with_a_simple_model(
        steps in proptest::collection::vec(any_step(), 1..60),
        leased in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let node = NodeStore::alone(Arc::new(MemoryStore::new()), leased);
        runtime.block_on(live(Arc::new(node), &steps));
    }

    #[test]
    fn any_life_on_two_nodes_agrees_with_a_simple_model(
        steps in proptest::collection::vec(any_step(), 1..60),
        seed in 0_usize..1_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let dice = Dice::default();
        for _ in 0..seed {
            dice.roll();
        }
        runtime.block_on(live_on_two_nodes(Arc::new(MemoryStore::new()), &steps, &dice));
    }
}

#[tokio::test]
async fn of_two_devices_that_end_all_others_at_once_one_is_left() {
    let node = Arc::new(NodeStore::sole(Arc::new(MemoryStore::new())));
    let house = House::open(Arc::clone(&node) as Arc<dyn Store>).await;
    let ada = person("ada");
    let laptop = house.sign_in(&ada, MORNING).await;
    let phone = house.sign_in(&ada, MORNING).await;
    assert_eq!(house.listed(&ada, None, after(1)).await.len(), 2);
    let end_others = |keep: SessionId| {
        let (sessions, key) = (house.sessions.clone(), ada.key.clone());
        tokio::spawn(async move {
            sessions
                .terminate_others(&key, Some(keep), EndedBy::Command, after(1))
                .await
        })
    };
    let gate = node.hold(Call::Ended);
    let first = end_others(laptop.session.id);
    // The store has ended the phone's session, and memory has not heard it yet.
    gate.reached().await;
    let second = end_others(phone.session.id);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    gate.open();
    assert_eq!(first.await.unwrap().unwrap(), 1);
    assert!(matches!(
        second.await.unwrap(),
        Err(TerminateError::NotFound)
    ));
    assert!(house.accepts(&laptop.token, after(2)).await);
    assert!(!house.accepts(&phone.token, after(2)).await);
}

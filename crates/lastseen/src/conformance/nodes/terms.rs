//! Memory answers as long as a term runs, and no longer.

use super::{AnyStore, Call, two_nodes};
use crate::conformance::people::{MORNING, after, person};
use crate::sessions::{Refusal, Verdict};

/// A node that is dead, or deaf, is waited for until it has no right to answer any more.
pub async fn a_node_that_cannot_be_told_has_no_lease_when_a_termination_is_answered(
    store: AnyStore,
) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    second.keeps_ready(&laptop.token, after(1)).await;
    second.cut_off();
    assert!(second.has_lease());
    first.terminate(&laptop, 2).await;
    assert!(!second.has_lease());
    assert_eq!(
        second.refuses(&laptop.token, after(2)).await,
        Some(Refusal::Ended)
    );
}

/// One read each, and none more.
pub async fn without_a_lease_every_validation_is_one_read(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    second.keeps_ready(&laptop.token, after(1)).await;
    second.lose_lease();
    for reads in second.reads()..second.reads() + 5 {
        assert_eq!(second.reads(), reads);
        assert!(second.accepts(&laptop.token, after(2)).await);
    }
    second.begin_term().await;
    second.keeps_ready(&laptop.token, after(3)).await;
}

/// 503 rather than a wrong yes.
pub async fn without_a_lease_and_without_the_store_nobody_can_tell(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    second.keeps_ready(&laptop.token, after(1)).await;
    second.lose_store();
    assert!(
        second.accepts(&laptop.token, after(1)).await,
        "its lease runs"
    );
    second.lose_lease();
    assert!(second.shown(&laptop.token, after(1)).await.is_err());
    assert!(second.house.sessions.ready().await.is_err());
}

/// What is read while the lease is lost is not known to be right later on.
pub async fn a_read_that_outlives_its_lease_is_not_trusted(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    let gate = second.hold(Call::Found);
    let lose = async {
        gate.reached().await;
        second.lose_lease();
        // Nobody tells a node without a lease.
        first.terminate(&laptop, 1).await;
        gate.open();
    };
    // It overlaps the termination: either answer is right.
    let (overlapping, ()) = tokio::join!(second.shown(&laptop.token, after(1)), lose);
    assert!(overlapping.is_ok());
    assert!(!second.accepts(&laptop.token, after(1)).await);
    second.begin_term().await;
    assert!(!second.accepts(&laptop.token, after(1)).await);
}

/// The lease comes back before the answer to the read does.
pub async fn a_read_from_before_a_term_is_not_trusted_in_it(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    for with_a_lease in [true, false] {
        let token = first.house.sign_in(&person("ada"), after(1)).await;
        if !with_a_lease {
            second.lose_lease();
        }
        let gate = second.hold(Call::Found);
        let renew = async {
            gate.reached().await;
            second.lose_lease();
            first.terminate(&token, 2).await;
            second.begin_term().await;
            gate.open();
        };
        let (overlapping, ()) = tokio::join!(second.shown(&token.token, after(2)), renew);
        assert!(overlapping.is_ok());
        assert!(second.has_lease());
        assert!(!second.accepts(&token.token, after(2)).await);
    }
    second.keeps_ready(&laptop.token, after(3)).await;
}

/// The change is heard of between a read and its answer.
pub async fn a_change_that_arrives_between_a_read_and_its_answer_counts(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    let gate = second.hold(Call::Found);
    let end = async {
        gate.reached().await;
        first.terminate(&laptop, 1).await;
        gate.open();
    };
    let (verdict, ()) = tokio::join!(second.shown(&laptop.token, after(1)), end);
    assert!(matches!(
        verdict.expect("the store is in order"),
        Verdict::Refused(Refusal::Ended)
    ));
    assert!(!second.accepts(&laptop.token, after(1)).await);
}

/// Whoever comes after a termination must not get what somebody read before it.
pub async fn without_a_lease_nobody_shares_a_read_that_began_for_somebody_else(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    second.lose_lease();
    let gate = second.hold(Call::Found);
    let come_later = async {
        gate.reached().await;
        first.terminate(&laptop, 1).await;
        // The first read is still under way, and goes on when this one is over.
        let later = second.refuses(&laptop.token, after(1));
        let later = tokio::time::timeout(std::time::Duration::from_secs(30), later).await;
        gate.open();
        later.expect("it does not wait for the first read")
    };
    let (overlapping, later) = tokio::join!(second.shown(&laptop.token, after(1)), come_later);
    assert!(overlapping.is_ok());
    assert_eq!(later, Some(Refusal::Ended));
    assert!(!second.accepts(&laptop.token, after(1)).await);
}

/// A node may be written so often that no read of it is ever undisturbed.
pub async fn a_partition_that_is_written_all_the_time_is_read_all_the_same(store: AnyStore) {
    let (first, second) = two_nodes(store).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    second.set_restless(true);
    for second_of in 1..4 {
        assert!(second.accepts(&laptop.token, after(second_of)).await);
    }
    second.set_restless(false);
    second.keeps_ready(&laptop.token, after(5)).await;
}

/// The device is in use; the lease has nothing to do with that.
pub async fn uses_that_are_not_written_survive_a_lost_lease(store: AnyStore) {
    let (first, second) = two_nodes(store.clone()).await;
    let laptop = first.house.sign_in(&person("ada"), MORNING).await;
    assert!(second.accepts(&laptop.token, after(10)).await);
    let recorded = async || {
        let found = store.find(laptop.session.id).await;
        let record = found.expect("the store is in order");
        record.expect("it is there").last_used_at
    };
    assert_eq!(recorded().await, MORNING, "it is not written yet");
    second.lose_lease();
    assert!(second.accepts(&laptop.token, after(11)).await);
    second.begin_term().await;
    let page = (second.house.sessions)
        .list(&laptop.session.account.key, None, 10, None, after(12))
        .await;
    let page = page.expect("the store is in order");
    assert_eq!(page.sessions[0].last_used_at, after(11));
    second.flush(after(12)).await;
    assert_eq!(recorded().await, after(11));
}

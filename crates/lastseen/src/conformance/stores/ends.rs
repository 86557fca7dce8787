//! How sessions end, and what becomes of their records.

use super::{AnyStore, assert_same, end, end_of, find, insert, used};
use crate::conformance::people::{DAY, Dice, MORNING, after, person, record};
use crate::session::{EndedBy, Ending};
use crate::store::{End, Ended};

/// Every cause survives.
pub async fn an_end_is_recorded_with_when_and_why_and_by_whom(store: AnyStore) {
    let dice = Dice::default();
    let other = record(&person("ada"), MORNING, &dice).id;
    let causes = [
        EndedBy::Session(other),
        EndedBy::Command,
        EndedBy::Deadline,
        EndedBy::Limit,
        EndedBy::Password(Some(other)),
        EndedBy::Password(None),
        EndedBy::Application,
    ];
    for by in causes {
        let ada = record(&person("ada"), MORNING, &dice);
        insert(&store, &ada).await;
        let ending = Ending {
            at: after(3),
            by,
            left_list_at: after(4),
        };
        let ends = vec![End {
            id: ada.id,
            ending,
            last_use: None,
        }];
        store
            .end(Some(ada.account.key.clone()), ends)
            .await
            .expect("the store is in order");
        assert_eq!(find(&store, ada.id).await.ended, Some(ending));
    }
}

/// A use that was only in memory is not lost with the session.
pub async fn an_end_that_brings_a_last_use_records_it(store: AnyStore) {
    let ada = record(&person("ada"), MORNING, &Dice::default());
    insert(&store, &ada).await;
    let mut ending = end_of(&ada, after(6), EndedBy::Command);
    ending.last_use = Some(used(&ada, after(5)));
    store
        .end(None, vec![ending])
        .await
        .expect("the store is in order");
    let found = find(&store, ada.id).await;
    assert_eq!(found.last_used_at, after(5));
    assert!(found.ended.is_some());
}

/// A second end is answered like the first, and changes nothing.
pub async fn a_session_that_ended_keeps_its_first_end(store: AnyStore) {
    let ada = record(&person("ada"), MORNING, &Dice::default());
    insert(&store, &ada).await;
    end(&store, &ada, after(1), EndedBy::Command).await;
    let first = find(&store, ada.id).await.ended;
    let again = store
        .end(
            Some(ada.account.key.clone()),
            vec![end_of(&ada, after(2), EndedBy::Limit)],
        )
        .await;
    assert_eq!(
        again.expect("the store is in order"),
        Ended::Done(Vec::new())
    );
    assert_eq!(find(&store, ada.id).await.ended, first);
}

/// One foreign or unknown id, and none ends.
pub async fn ends_are_all_or_none(store: AnyStore) {
    let dice = Dice::default();
    let (own, foreign) = (
        record(&person("ada"), MORNING, &dice),
        record(&person("bob"), MORNING, &dice),
    );
    let unknown = record(&person("ada"), MORNING, &dice);
    insert(&store, &own).await;
    insert(&store, &foreign).await;
    for other in [&foreign, &unknown] {
        let ends = vec![
            end_of(&own, after(1), EndedBy::Command),
            end_of(other, after(1), EndedBy::Command),
        ];
        let ended = store
            .end(Some(own.account.key.clone()), ends)
            .await
            .expect("the store is in order");
        assert_eq!(ended, Ended::NotFound);
    }
    assert_eq!(find(&store, own.id).await.ended, None);
    assert_eq!(find(&store, foreign.id).await.ended, None);
}

/// What an operator ends may have gone meanwhile.
pub async fn without_an_account_unknown_ids_are_left_alone(store: AnyStore) {
    let dice = Dice::default();
    let (ada, unknown) = (
        record(&person("ada"), MORNING, &dice),
        record(&person("ada"), MORNING, &dice),
    );
    insert(&store, &ada).await;
    let ends = vec![
        end_of(&unknown, after(1), EndedBy::Command),
        end_of(&ada, after(1), EndedBy::Command),
    ];
    assert_eq!(
        store.end(None, ends).await.expect("the store is in order"),
        Ended::Done(vec![ada.id])
    );
}

/// A session that can still be used, or is listed, is never deleted.
pub async fn purging_deletes_what_has_ended_and_nothing_else(store: AnyStore) {
    let dice = Dice::default();
    let (ended, kept) = (
        record(&person("ada"), MORNING, &dice),
        record(&person("ada"), MORNING, &dice),
    );
    insert(&store, &ended).await;
    insert(&store, &kept).await;
    end(&store, &ended, after(DAY), EndedBy::Command).await;
    assert_eq!(
        store
            .purge(vec![ended.id, kept.id])
            .await
            .expect("the store is in order"),
        1
    );
    assert!(
        store
            .find(ended.id)
            .await
            .expect("the store is in order")
            .is_none()
    );
    assert_same(&find(&store, kept.id).await, &kept);
}

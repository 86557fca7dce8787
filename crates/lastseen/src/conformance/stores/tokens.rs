//! Tokens that take the place of others.

use super::{AnyStore, end, find, insert};
use crate::conformance::people::{Dice, MORNING, after, person, record};
use crate::session::EndedBy;
use crate::token::SecretHash;

/// The id stays, the hash is another.
pub async fn a_renewed_token_takes_the_place_of_the_old_one(store: AnyStore) {
    let ada = record(&person("ada"), MORNING, &Dice::default());
    insert(&store, &ada).await;
    let hash = SecretHash::from_bytes([5; 32]);
    assert!(
        store
            .renew(ada.id, hash, 1)
            .await
            .expect("the store is in order")
    );
    let found = find(&store, ada.id).await;
    assert_eq!((found.token_hash, found.token_generation), (hash, 1));
}

/// Of two renewals at once the first counts.
pub async fn a_token_of_an_older_generation_is_not_taken(store: AnyStore) {
    let ada = record(&person("ada"), MORNING, &Dice::default());
    insert(&store, &ada).await;
    assert!(
        store
            .renew(ada.id, SecretHash::from_bytes([5; 32]), 1)
            .await
            .expect("the store is in order")
    );
    assert!(
        !store
            .renew(ada.id, SecretHash::from_bytes([6; 32]), 1)
            .await
            .expect("the store is in order")
    );
    assert_eq!(
        find(&store, ada.id).await.token_hash,
        SecretHash::from_bytes([5; 32])
    );
}

/// Renewal is no way back.
pub async fn a_session_that_ended_gets_no_token(store: AnyStore) {
    let ada = record(&person("ada"), MORNING, &Dice::default());
    insert(&store, &ada).await;
    end(&store, &ada, after(1), EndedBy::Command).await;
    assert!(
        !store
            .renew(ada.id, SecretHash::from_bytes([5; 32]), 1)
            .await
            .expect("the store is in order")
    );
    assert_eq!(find(&store, ada.id).await.token_hash, ada.token_hash);
}

/// The last one counts, and the first token is none of its business.
pub async fn a_page_token_stands_beside_the_token(store: AnyStore) {
    let ada = record(&person("ada"), MORNING, &Dice::default());
    insert(&store, &ada).await;
    for hash in [
        SecretHash::from_bytes([5; 32]),
        SecretHash::from_bytes([6; 32]),
    ] {
        assert!(
            store
                .set_page_token(ada.id, hash)
                .await
                .expect("the store is in order")
        );
        let found = find(&store, ada.id).await;
        assert_eq!(
            (found.token_hash, found.page_token_hash),
            (ada.token_hash, Some(hash))
        );
    }
    end(&store, &ada, after(1), EndedBy::Command).await;
    let late = store
        .set_page_token(ada.id, SecretHash::from_bytes([7; 32]))
        .await;
    assert!(!late.expect("the store is in order"));
}

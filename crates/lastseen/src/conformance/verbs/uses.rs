//! Signing in, and every use after it.

use std::num::NonZeroU32;
use std::time::Duration;

use super::AnyStore;
use crate::conformance::people::{
    House, LAPTOP, MORNING, PHONE, address, after, person, settings, visit,
};
use crate::device::ClientDescription;
use crate::policy::Settings;
use crate::session::{EndedBy, Visit};
use crate::sessions::{NewSession, Verdict};
use crate::token::SessionToken;

/// The same browser signing in again leaves one row, not two.
pub async fn a_sign_in_ends_the_session_that_the_browser_brought_along(store: AnyStore) {
    let house = House::open(store).await;
    let (ada, bob) = (person("ada"), person("bob"));
    let first = house.sign_in(&ada, MORNING).await;
    let text = first.token.reveal();
    let new = NewSession {
        account: &bob,
        remembered: true,
        visit: visit(7, LAPTOP),
        replaces: Some(text.as_bytes()),
    };
    let second = house
        .sessions
        .create(new, after(1), &house.dice)
        .await
        .expect("the store is in order");
    assert!(!house.accepts(&first.token, after(1)).await);
    assert!(house.accepts(&second.token, after(1)).await);
    assert!(house.listed(&ada, None, after(1)).await.is_empty());
}

/// An id and a guess end nobody's session.
pub async fn a_token_that_does_not_authenticate_ends_nothing_at_sign_in(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let laptop = house.sign_in(&ada, MORNING).await;
    let forged = SessionToken::generate(*laptop.session.id.as_bytes(), &house.dice).reveal();
    for replaces in [forged.as_bytes(), b"", b"lss_nonsense"] {
        let new = NewSession {
            account: &ada,
            remembered: false,
            visit: visit(9, PHONE),
            replaces: Some(replaces),
        };
        house
            .sessions
            .create(new, after(1), &house.dice)
            .await
            .expect("the store is in order");
    }
    assert!(house.accepts(&laptop.token, after(1)).await);
    assert_eq!(house.listed(&ada, None, after(1)).await.len(), 4);
}

/// By last use, not by age; and never the new one.
pub async fn beyond_the_limit_the_session_unused_for_longest_ends(store: AnyStore) {
    let limited = Settings {
        max_sessions_per_account: NonZeroU32::new(3),
        ..settings()
    };
    let house = House::open_with(store, limited, MORNING).await;
    let ada = person("ada");
    let mut devices = Vec::new();
    for second in 0..3 {
        devices.push(house.sign_in(&ada, after(second)).await);
    }
    assert!(house.accepts(&devices[0].token, after(5)).await);
    let fourth = house.sign_in(&ada, after(6)).await;
    assert!(!house.accepts(&devices[1].token, after(7)).await);
    for created in [&devices[0], &devices[2], &fourth] {
        assert!(house.accepts(&created.token, after(7)).await);
    }
    let record = house
        .store
        .find(devices[1].session.id)
        .await
        .expect("the store is in order");
    assert_eq!(
        record
            .and_then(|record| record.ended)
            .map(|ending| ending.by),
        Some(EndedBy::Limit)
    );
}

/// Memory is what lists show.
pub async fn last_use_is_exact_before_it_is_written(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let laptop = house.sign_in(&ada, MORNING).await;
    let now = after(5).saturating_add(Duration::from_millis(321));
    assert!(house.accepts(&laptop.token, now).await);
    let page = house
        .sessions
        .list(&ada.key, None, 50, None, now)
        .await
        .expect("the store is in order");
    assert_eq!(page.sessions[0].last_used_at, now);
    let scan = house
        .sessions
        .scan(None, 50, now)
        .await
        .expect("the store is in order");
    assert_eq!(scan.sessions[0].last_used_at, now);
}

/// None is lost to a clean stop, and none goes backwards.
pub async fn last_use_survives_a_restart_once_it_is_flushed(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let laptop = house.sign_in(&ada, MORNING).await;
    assert!(house.accepts(&laptop.token, after(5)).await);
    house
        .sessions
        .flush(after(6))
        .await
        .expect("the store is in order");
    assert!(house.accepts(&laptop.token, after(7)).await);
    let house = house.restarted_with(settings(), after(8)).await;
    let page = house
        .sessions
        .list(&ada.key, None, 50, None, after(8))
        .await
        .expect("the store is in order");
    assert_eq!(page.sessions[0].last_used_at, after(5));
}

/// The list shows where it was used last; the record keeps where it began.
pub async fn address_and_device_follow_the_last_use(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let laptop = house.sign_in(&ada, MORNING).await;
    let token = laptop.token.reveal();
    let verdict = house
        .sessions
        .validate(token.as_bytes(), &visit(99, PHONE), after(1))
        .await;
    assert!(matches!(verdict, Ok(Verdict::Active(_))));
    let page = house
        .sessions
        .list(&ada.key, None, 50, None, after(2))
        .await
        .expect("the store is in order");
    assert_eq!(page.sessions[0].ip_address, Some(address(99)));
    assert_eq!(page.sessions[0].device.label(), "Chrome 120 on Android");
    house
        .sessions
        .flush(after(3))
        .await
        .expect("the store is in order");
    let record = house
        .store
        .find(laptop.session.id)
        .await
        .expect("the store is in order")
        .expect("it is there");
    assert_eq!(record.last.ip_address, Some(address(99)));
    assert_eq!(record.first.ip_address, Some(address(7)));
    assert_eq!(record.first.device.label(), "Firefox 132 on Linux");
}

/// Nothing known is better than something overwritten.
pub async fn a_use_that_brings_nothing_leaves_address_and_device(store: AnyStore) {
    let house = House::open(store).await;
    let laptop = house.sign_in(&person("ada"), MORNING).await;
    let token = laptop.token.reveal();
    let visit = Visit {
        ip_address: None,
        client: ClientDescription::default(),
    };
    match house
        .sessions
        .validate(token.as_bytes(), &visit, after(1))
        .await
    {
        Ok(Verdict::Active(session)) => {
            assert_eq!(session.ip_address, Some(address(7)));
            assert_eq!(session.device.label(), "Firefox 132 on Linux");
            assert_eq!(session.last_used_at, after(1));
        }
        other => panic!("{other:?}"),
    }
}

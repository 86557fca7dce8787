//! A session ends by its deadline, whatever the clock and the settings do.

use std::time::Duration;

use super::{AnyStore, refusal};
use crate::conformance::people::{DAY, HOUR, House, MORNING, after, person, policy, settings};
use crate::policy::{Policy, Settings};
use crate::session::{EndedBy, Status};
use crate::sessions::Refusal;
use crate::store::Authority;

/// The last millisecond counts, the deadline does not.
pub async fn a_session_expires_to_the_millisecond(store: AnyStore) {
    let house = House::open(store).await;
    let (early, late) = (
        house.sign_in(&person("ada"), MORNING).await,
        house.sign_in(&person("ada"), MORNING).await,
    );
    let deadline = early.session.expires_at;
    assert_eq!(deadline, after(HOUR));
    assert!(
        house
            .accepts(
                &early.token,
                deadline.saturating_sub(Duration::from_millis(1))
            )
            .await
    );
    assert_eq!(
        refusal(&house.show(&late.token, deadline).await),
        Some(Refusal::Expired)
    );
}

/// A session in use does not idle out.
pub async fn every_use_moves_the_idle_deadline(store: AnyStore) {
    let house = House::open(store).await;
    let laptop = house.sign_in(&person("ada"), MORNING).await;
    for hour in 0..5 {
        assert!(
            house
                .accepts(&laptop.token, after(hour * HOUR * 9 / 10))
                .await
        );
    }
    assert!(!house.accepts(&laptop.token, after(5 * HOUR)).await);
}

/// However busy it is, a day is all it has.
pub async fn no_use_moves_the_absolute_deadline(store: AnyStore) {
    let house = House::open(store).await;
    let laptop = house.sign_in(&person("ada"), MORNING).await;
    for half_hour in 1..48 {
        assert!(
            house
                .accepts(&laptop.token, after(half_hour * HOUR / 2))
                .await
        );
    }
    assert!(!house.accepts(&laptop.token, after(DAY)).await);
}

/// Marked, and gone once removed.
pub async fn an_expired_session_stays_in_the_list_until_it_is_removed(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let laptop = house.sign_in(&ada, MORNING).await;
    let now = after(2 * HOUR);
    let page = house
        .sessions
        .list(&ada.key, None, 50, None, now)
        .await
        .expect("the store is in order");
    assert_eq!(page.sessions.len(), 1);
    assert_eq!(page.sessions[0].status(now), Status::Expired);
    assert_eq!(page.sessions[0].time_left(now), Duration::ZERO);
    let removed = house
        .sessions
        .terminate(&ada.key, &[laptop.session.id], EndedBy::Command, now)
        .await;
    assert_eq!(removed.expect("it is Ada's"), 1);
    assert!(house.listed(&ada, None, now).await.is_empty());
    let ending = house
        .store
        .find(laptop.session.id)
        .await
        .expect("the store is in order");
    let ending = ending
        .expect("it is on record")
        .ended
        .expect("it has ended");
    assert_eq!((ending.at, ending.by), (after(HOUR), EndedBy::Deadline));
    assert_eq!(ending.left_list_at, now);
}

/// With no job running.
pub async fn an_expired_session_leaves_the_list_after_a_while(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    house.sign_in(&ada, MORNING).await;
    let leaves = after(HOUR + DAY);
    assert_eq!(
        house
            .listed(&ada, None, leaves.saturating_sub(Duration::from_millis(1)))
            .await
            .len(),
        1
    );
    assert!(house.listed(&ada, None, leaves).await.is_empty());
}

/// Once it was late, it stays late.
pub async fn a_clock_set_back_revives_nothing(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let (laptop, phone) = (
        house.sign_in(&ada, MORNING).await,
        house.sign_in(&ada, MORNING).await,
    );
    assert!(!house.accepts(&laptop.token, after(2 * HOUR)).await);
    assert!(!house.accepts(&laptop.token, after(1)).await);
    assert!(!house.accepts(&phone.token, after(1)).await);
    let page = house
        .sessions
        .list(&ada.key, None, 50, None, after(1))
        .await
        .expect("the store is in order");
    let now = house.sessions.observe(after(1));
    assert!(
        page.sessions
            .iter()
            .all(|session| session.status(now) == Status::Expired)
    );
}

/// The store remembers how late it was: after a crash in which nothing else was written, too.
pub async fn a_clock_set_back_over_a_restart_revives_nothing(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let (laptop, phone) = (
        house.sign_in(&ada, MORNING).await,
        house.sign_in(&ada, MORNING).await,
    );
    let tablet = house.sign_in(&person("bob"), MORNING).await;
    // One is refused, one is shown as expired; of the third nobody has heard.
    assert!(!house.accepts(&laptop.token, after(HOUR)).await);
    assert_eq!(house.listed(&ada, None, after(HOUR)).await.len(), 2);
    let house = house.restarted_with(settings(), after(1)).await;
    assert!(!house.accepts(&laptop.token, after(1)).await);
    assert!(!house.accepts(&phone.token, after(1)).await);
    // Where others write the store too, the clock that is gone by may have been a wrong one.
    if matches!(house.store.authority(), Authority::Sole) {
        assert!(!house.accepts(&tablet.token, after(1)).await);
    }
}

fn with_policy(policy: Policy) -> Settings {
    Settings {
        policy,
        ..settings()
    }
}

/// Sessions that exist already are bound by it.
pub async fn a_tightened_setting_shortens_a_session_at_once(store: AnyStore) {
    let house = House::open(store).await;
    let laptop = house.sign_in(&person("ada"), MORNING).await;
    let tight = Policy {
        idle_timeout: Duration::from_mins(1),
        ..policy()
    };
    let house = house.restarted_with(with_policy(tight), after(30)).await;
    assert!(house.accepts(&laptop.token, after(59)).await);
    assert!(!house.accepts(&laptop.token, after(59 + 60)).await);
}

/// What a tight setting has ended is not brought back by taking it away.
pub async fn a_loosened_setting_revives_nothing(store: AnyStore) {
    let house = House::open(store).await;
    let laptop = house.sign_in(&person("ada"), MORNING).await;
    let tight = Policy {
        idle_timeout: Duration::from_mins(1),
        ..policy()
    };
    let house = house.restarted_with(with_policy(tight), after(90)).await;
    let house = house.restarted_with(settings(), after(91)).await;
    assert!(!house.accepts(&laptop.token, after(91)).await);
}

/// A session keeps to what it was created under.
pub async fn a_loosened_setting_does_not_lengthen_a_session(store: AnyStore) {
    let house = House::open(store).await;
    let before = house.sign_in(&person("ada"), MORNING).await;
    let loose = Policy {
        idle_timeout: Duration::from_secs(3 * HOUR),
        ..policy()
    };
    let house = house.restarted_with(with_policy(loose), after(1)).await;
    let behind = house.sign_in(&person("ada"), after(1)).await;
    assert!(!house.accepts(&before.token, after(HOUR)).await);
    assert!(house.accepts(&behind.token, after(2 * HOUR)).await);
}

/// Two days after it left the list, to the millisecond; expired ones leave the list after a day.
pub async fn what_ended_is_purged_when_it_was_kept_long_enough(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let (ended, expires) = (
        house.sign_in(&ada, MORNING).await,
        house.sign_in(&ada, MORNING).await,
    );
    let by = EndedBy::Command;
    house
        .sessions
        .terminate(&ada.key, &[ended.session.id], by, after(1))
        .await
        .expect("it is Ada's");
    let stays = house.sign_in(&ada, after(2 * DAY)).await;
    for (purge, seen) in [
        (1 + 2 * DAY, (1, 0, 1, 1)),
        (HOUR + DAY + 2 * DAY, (0, 0, 1, 1)),
    ] {
        let just_before = after(purge).saturating_sub(Duration::from_millis(1));
        let tidied = house
            .sessions
            .tidy(just_before)
            .await
            .expect("the store is in order");
        assert_eq!(tidied.purged, 0);
        let tidied = house
            .sessions
            .tidy(after(purge))
            .await
            .expect("the store is in order");
        assert_eq!(
            (tidied.active, tidied.expired, tidied.ended, tidied.purged),
            seen
        );
    }
    for gone in [ended.session.id, expires.session.id] {
        assert!(
            house
                .store
                .find(gone)
                .await
                .expect("the store is in order")
                .is_none()
        );
    }
    assert!(
        house
            .store
            .find(stays.session.id)
            .await
            .expect("the store is in order")
            .is_some()
    );
}

//! What the verbs make of a store.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::life;
use super::people::{
    DAY, HOUR, House, LAPTOP, MORNING, PHONE, account, address, after, person, policy, settings,
    visit,
};
use crate::account::{AccountSource, ApplicationId};
use crate::device::ClientDescription;
use crate::policy::{Policy, Settings};
use crate::session::{EndedBy, SessionId, Status, Visit};
use crate::sessions::{NewSession, Refusal, TerminateError, Verdict};
use crate::store::Store;
use crate::token::SessionToken;

type AnyStore = Arc<dyn Store>;

fn refusal(verdict: &Verdict) -> Option<Refusal> {
    match verdict {
        Verdict::Active(_) => None,
        Verdict::Refused(refusal) => Some(*refusal),
    }
}

fn application(number: u32) -> AccountSource {
    AccountSource::Application(ApplicationId(number))
}

/// The promise, at its simplest.
pub async fn a_token_is_accepted_until_its_session_is_terminated(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let laptop = house.sign_in(&ada, MORNING).await;
    assert!(house.accepts(&laptop.token, after(1)).await);
    let by = EndedBy::Session(laptop.session.id);
    let ended = house
        .sessions
        .terminate(&ada.key, &[laptop.session.id], by, after(2))
        .await;
    assert_eq!(ended.expect("it is Ada's"), 1);
    assert_eq!(
        refusal(&house.show(&laptop.token, after(2)).await),
        Some(Refusal::Ended)
    );
}

/// Not only memory knows.
pub async fn a_terminated_session_is_refused_after_a_restart(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let (laptop, phone) = (
        house.sign_in(&ada, MORNING).await,
        house.sign_in(&ada, MORNING).await,
    );
    let ended = house
        .sessions
        .terminate(&ada.key, &[laptop.session.id], EndedBy::Command, after(2))
        .await;
    assert_eq!(ended.expect("it is Ada's"), 1);
    let house = house.restarted_with(settings(), after(3)).await;
    assert!(!house.accepts(&laptop.token, after(3)).await);
    assert!(house.accepts(&phone.token, after(3)).await);
}

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
    assert!(!house.accepts(&laptop.token, after(HOUR)).await);
    let house = house.restarted_with(settings(), after(1)).await;
    assert!(!house.accepts(&laptop.token, after(1)).await);
    assert!(!house.accepts(&phone.token, after(1)).await);
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

/// In every place.
pub async fn a_mangled_token_is_refused(store: AnyStore) {
    let house = House::open(store).await;
    let token = house.sign_in(&person("ada"), MORNING).await.token.reveal();
    for position in 0..token.len() {
        let mut mangled = token.clone().into_bytes();
        mangled[position] = if mangled[position] == b'A' {
            b'B'
        } else {
            b'A'
        };
        let verdict = house
            .sessions
            .validate(&mangled, &visit(7, LAPTOP), MORNING)
            .await;
        assert!(matches!(verdict, Ok(Verdict::Refused(_))), "{position}");
    }
}

/// The id names, the secret authenticates.
pub async fn a_token_with_another_sessions_id_is_refused(store: AnyStore) {
    let house = House::open(store).await;
    let laptop = house.sign_in(&person("ada"), MORNING).await;
    let forged = SessionToken::generate(*laptop.session.id.as_bytes(), &house.dice);
    assert_eq!(
        refusal(&house.show(&forged, MORNING).await),
        Some(Refusal::WrongSecret)
    );
    let house = house.restarted_with(settings(), MORNING).await;
    assert_eq!(
        refusal(&house.show(&forged, MORNING).await),
        Some(Refusal::WrongSecret)
    );
}

/// The order of the contract.
pub async fn the_list_shows_the_current_session_first_then_newest_use_first(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let mut devices = Vec::new();
    for second in 0..4 {
        devices.push(house.sign_in(&ada, after(second)).await);
    }
    assert!(house.accepts(&devices[1].token, after(10)).await);
    let current = Some(devices[0].session.id);
    let ids: Vec<SessionId> = [0, 1, 3, 2]
        .iter()
        .map(|&place: &usize| devices[place].session.id)
        .collect();
    assert_eq!(house.listed(&ada, current, after(11)).await, ids);
    let house = house.restarted_with(settings(), after(11)).await;
    // The use was not flushed: a crash may lose it.
    let ids: Vec<SessionId> = [0, 3, 2, 1]
        .iter()
        .map(|&place: &usize| devices[place].session.id)
        .collect();
    assert_eq!(house.listed(&ada, current, after(11)).await, ids);
}

async fn walk(
    house: &House,
    name: &str,
    current: Option<SessionId>,
    limit: usize,
) -> Vec<SessionId> {
    let (mut met, mut cursor) = (Vec::new(), None);
    loop {
        let page = house
            .sessions
            .list(&person(name).key, current, limit, cursor, after(100))
            .await;
        let page = page.expect("the store is in order");
        assert!(page.sessions.len() <= limit);
        met.extend(page.sessions.iter().map(|session| session.id));
        cursor = page.next;
        if cursor.is_none() {
            return met;
        }
    }
}

/// Whatever the length of a page.
pub async fn pages_show_every_session_exactly_once(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    for second in 0..23 {
        house.sign_in(&ada, after(second / 2)).await;
    }
    let all = house.listed(&ada, None, after(100)).await;
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 23);
    for limit in [1, 2, 7, 22, 23, 24, 50] {
        assert_eq!(walk(&house, "ada", None, limit).await, all);
        for current in [all[0], all[9], all[22]] {
            let met = walk(&house, "ada", Some(current), limit).await;
            assert_eq!(met[0], current);
            assert_eq!(met.len(), 23);
            assert_eq!(met.into_iter().collect::<HashSet<_>>().len(), 23);
        }
    }
}

/// Ties are broken the same way every time.
pub async fn pages_are_right_where_all_were_used_in_the_same_millisecond(store: AnyStore) {
    let house = House::open(store).await;
    for _ in 0..9 {
        house.sign_in(&person("ada"), MORNING).await;
    }
    let all = house.listed(&person("ada"), None, after(100)).await;
    let house = house.restarted_with(settings(), after(100)).await;
    assert_eq!(walk(&house, "ada", None, 2).await, all);
}

/// The smallest page there is.
pub async fn the_current_session_alone_on_a_page_is_followed_by_the_others(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let old = house.sign_in(&ada, MORNING).await;
    let new = house.sign_in(&ada, after(1)).await;
    assert_eq!(
        walk(&house, "ada", Some(old.session.id), 1).await,
        [old.session.id, new.session.id]
    );
}

/// Not even with its id in hand.
pub async fn another_accounts_session_cannot_be_terminated(store: AnyStore) {
    let house = House::open(store).await;
    let (ada, bob) = (house.sign_in(&person("ada"), MORNING).await, person("bob"));
    for _ in 0..2 {
        let by = EndedBy::Session(ada.session.id);
        let ended = house
            .sessions
            .terminate(&bob.key, &[ada.session.id], by, after(1))
            .await;
        assert!(matches!(ended, Err(TerminateError::NotFound)));
    }
    assert!(house.accepts(&ada.token, after(1)).await);
}

/// The second time is no error, and nothing new.
pub async fn terminating_twice_counts_once(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let id = house.sign_in(&ada, MORNING).await.session.id;
    let ended = house
        .sessions
        .terminate(&ada.key, &[id, id], EndedBy::Command, after(1))
        .await;
    assert_eq!(ended.expect("it is Ada's"), 1);
    let again = house
        .sessions
        .terminate(&ada.key, &[id], EndedBy::Command, after(2))
        .await;
    assert_eq!(again.expect("it was Ada's"), 0);
}

/// One foreign id, and none ends.
pub async fn terminating_several_is_all_or_nothing(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let (laptop, phone) = (
        house.sign_in(&ada, MORNING).await,
        house.sign_in(&ada, MORNING).await,
    );
    let foreign = house.sign_in(&person("bob"), MORNING).await;
    let ids = [laptop.session.id, foreign.session.id, phone.session.id];
    let ended = house
        .sessions
        .terminate(&ada.key, &ids, EndedBy::Command, after(1))
        .await;
    assert!(matches!(ended, Err(TerminateError::NotFound)));
    for created in [&laptop, &phone, &foreign] {
        assert!(house.accepts(&created.token, after(1)).await);
    }
    let ids = [laptop.session.id, phone.session.id];
    let ended = house
        .sessions
        .terminate(&ada.key, &ids, EndedBy::Command, after(2))
        .await;
    assert_eq!(ended.expect("both are Ada's"), 2);
    assert!(!house.accepts(&laptop.token, after(2)).await);
    assert!(!house.accepts(&phone.token, after(2)).await);
}

/// Expired ones leave the list as well.
pub async fn terminating_the_others_keeps_the_current_one(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let expired = house.sign_in(&ada, MORNING).await;
    let other = house.sign_in(&ada, after(2 * HOUR)).await;
    let current = house.sign_in(&ada, after(2 * HOUR)).await;
    let (keep, now) = (current.session.id, after(2 * HOUR + 1));
    let ended = house
        .sessions
        .terminate_others(&ada.key, Some(keep), EndedBy::Session(keep), now)
        .await;
    assert_eq!(ended.expect("it is Ada's"), 2);
    assert!(house.accepts(&current.token, now).await);
    assert!(!house.accepts(&other.token, now).await);
    assert!(!house.accepts(&expired.token, now).await);
    assert_eq!(house.listed(&ada, Some(keep), now).await, [keep]);
}

/// Nothing ends where the session to keep is somebody else's.
pub async fn terminating_others_needs_a_session_of_the_account(store: AnyStore) {
    let house = House::open(store).await;
    let (ada, bob) = (
        house.sign_in(&person("ada"), MORNING).await,
        house.sign_in(&person("bob"), MORNING).await,
    );
    let keep = Some(bob.session.id);
    let ended = house
        .sessions
        .terminate_others(&person("ada").key, keep, EndedBy::Command, after(1))
        .await;
    assert!(matches!(ended, Err(TerminateError::NotFound)));
    assert!(house.accepts(&ada.token, after(1)).await);
}

/// Also right after a restart, with nothing in memory.
pub async fn terminating_an_account_ends_all_of_it_and_nothing_else(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let (laptop, phone) = (
        house.sign_in(&ada, MORNING).await,
        house.sign_in(&ada, MORNING).await,
    );
    let bob = house.sign_in(&person("bob"), MORNING).await;
    let house = house.restarted_with(settings(), after(1)).await;
    assert!(house.accepts(&laptop.token, after(1)).await);
    let ended = house
        .sessions
        .terminate_account(&ada.key, EndedBy::Command, after(2))
        .await;
    assert_eq!(ended.expect("the store is in order"), 2);
    assert!(!house.accepts(&laptop.token, after(2)).await);
    assert!(!house.accepts(&phone.token, after(2)).await);
    assert!(house.accepts(&bob.token, after(2)).await);
}

/// The command of last resort.
pub async fn terminating_everything_ends_every_session(store: AnyStore) {
    let house = House::open(store).await;
    let mut created = Vec::new();
    for name in ["ada", "bob", "eve"] {
        created.push(house.sign_in(&person(name), MORNING).await);
    }
    assert_eq!(
        house
            .sessions
            .terminate_everything(after(1))
            .await
            .expect("the store is in order"),
        3
    );
    for created in &created {
        assert!(!house.accepts(&created.token, after(1)).await);
    }
}

/// What the removal of an application asks for.
pub async fn terminating_a_source_ends_every_account_of_it_and_nothing_else(store: AnyStore) {
    let house = House::open(store).await;
    let (shop, forum) = (application(1), application(2));
    let mut created = Vec::new();
    for (source, id) in [
        (shop, "ada"),
        (AccountSource::BuiltIn, "ada"),
        (shop, "bob"),
        (forum, "ada"),
    ] {
        let owner = account(source, id, id);
        created.push((source, house.sign_in(&owner, MORNING).await));
    }
    let ended = house.sessions.terminate_source(shop, after(1)).await;
    assert_eq!(ended.expect("the store is in order"), 2);
    for (source, created) in &created {
        assert_eq!(
            house.accepts(&created.token, after(1)).await,
            *source != shop,
            "{source:?}"
        );
    }
}

/// An application asks about a token that may be anybody's.
pub async fn a_token_of_another_source_is_refused_as_unknown_and_not_used(store: AnyStore) {
    let house = House::open(store).await;
    let (shop, forum) = (application(1), application(2));
    let created = house.sign_in(&account(shop, "ada", "Ada"), MORNING).await;
    let token = created.token.reveal();
    let house = house.restarted_with(settings(), after(1)).await;
    // Read from the store the first time, from memory the second.
    for second in [2, 3] {
        for source in [forum, AccountSource::BuiltIn] {
            let verdict = house
                .sessions
                .validate_of(source, token.as_bytes(), &visit(9, PHONE), after(second))
                .await;
            let verdict = verdict.expect("the store is in order");
            assert_eq!(refusal(&verdict), Some(Refusal::Unknown));
        }
    }
    let found = house.sessions.find(created.session.id, after(4)).await;
    let found = found.expect("the store is in order").expect("it is active");
    assert_eq!(found.last_used_at, MORNING);
    assert_eq!(found.ip_address, Some(address(7)));
    let verdict = house
        .sessions
        .validate_of(shop, token.as_bytes(), &visit(9, PHONE), after(5))
        .await;
    match verdict.expect("the store is in order") {
        Verdict::Active(session) => {
            assert_eq!(session.last_used_at, after(5));
            assert_eq!(session.ip_address, Some(address(9)));
        }
        Verdict::Refused(refusal) => panic!("{refusal:?}"),
    }
}

/// Whoever is to end the session of a token asks first whose it is.
pub async fn a_token_names_its_session_without_a_use_as_long_as_it_is_active(store: AnyStore) {
    let house = House::open(store).await;
    let laptop = house.sign_in(&person("ada"), MORNING).await;
    let token = laptop.token.reveal();
    let house = house.restarted_with(settings(), after(1)).await;
    for _ in 0..2 {
        let found = house.sessions.identify(token.as_bytes(), after(2)).await;
        let found = found.expect("the store is in order").expect("it is active");
        assert_eq!(found.id, laptop.session.id);
        assert_eq!(found.last_used_at, MORNING);
    }
    for (mangled, now) in [
        (token[1..].to_owned(), after(2)),
        (token.clone(), after(HOUR)),
    ] {
        let found = house.sessions.identify(mangled.as_bytes(), now).await;
        assert!(found.expect("the store is in order").is_none());
    }
}

/// Who signs in without a name keeps the one that is known.
pub async fn an_account_is_called_as_its_newest_session_says(store: AnyStore) {
    let house = House::open(store).await;
    let shop = application(1);
    let name_of = async |id: &str| {
        let key = account(shop, id, id).key.clone();
        house
            .sessions
            .name_of(&key)
            .await
            .expect("the store is in order")
    };
    assert_eq!(name_of("ada").await, None);
    house.sign_in(&account(shop, "ada", "Ada"), MORNING).await;
    house
        .sign_in(&account(shop, "ada", "Ada L."), after(1))
        .await;
    assert_eq!(name_of("ada").await.as_deref(), Some("Ada L."));
    assert_eq!(name_of("bob").await, None);
}

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

/// What a password change does to the current session.
pub async fn a_renewed_token_is_accepted_and_the_old_one_is_refused(store: AnyStore) {
    let house = House::open(store).await;
    let laptop = house.sign_in(&person("ada"), MORNING).await;
    let renewed = house
        .sessions
        .renew_token(laptop.session.id, &house.dice)
        .await;
    let renewed = renewed
        .expect("the store is in order")
        .expect("the session is active");
    assert_eq!(renewed.session_id(), laptop.session.id);
    for _ in 0..2 {
        assert!(house.accepts(&renewed, after(1)).await);
        assert_eq!(
            refusal(&house.show(&laptop.token, after(1)).await),
            Some(Refusal::WrongSecret)
        );
    }
    let house = house.restarted_with(settings(), after(2)).await;
    assert!(house.accepts(&renewed, after(2)).await);
    assert!(!house.accepts(&laptop.token, after(2)).await);
}

/// What a link into the pages is exchanged for.
pub async fn a_page_token_is_accepted_beside_the_token_and_both_end_with_the_session(
    store: AnyStore,
) {
    let house = House::open(store).await;
    let ada = person("ada");
    let laptop = house.sign_in(&ada, MORNING).await;
    let id = laptop.session.id;
    let mut pages = Vec::new();
    for _ in 0..2 {
        let token = house.sessions.page_token(id, after(1), &house.dice).await;
        pages.push(
            token
                .expect("the store is in order")
                .expect("the session is active"),
        );
    }
    assert!(!house.accepts(&pages[0], after(1)).await);
    let house = house.restarted_with(settings(), after(2)).await;
    for token in [&pages[1], &laptop.token] {
        assert!(house.accepts(token, after(2)).await);
    }
    house
        .sessions
        .terminate(&ada.key, &[id], EndedBy::Command, after(3))
        .await
        .expect("it is Ada's");
    for token in [&pages[0], &pages[1], &laptop.token] {
        assert!(!house.accepts(token, after(3)).await);
    }
    let late = house.sessions.page_token(id, after(3), &house.dice).await;
    assert!(late.expect("the store is in order").is_none());
}

/// An expired session has no pages to be sent into.
pub async fn an_expired_session_gets_no_page_token(store: AnyStore) {
    let house = House::open(store).await;
    let id = house.sign_in(&person("ada"), MORNING).await.session.id;
    let late = house
        .sessions
        .page_token(id, after(HOUR), &house.dice)
        .await;
    assert!(late.expect("the store is in order").is_none());
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

/// What does not fit is read again, and what has ended is not read back.
pub async fn a_small_cache_forgets_and_still_refuses_what_ended(store: AnyStore) {
    let house = House::open_with(
        store,
        Settings {
            cache_memory: 0,
            ..settings()
        },
        MORNING,
    )
    .await;
    let ada = person("ada");
    let mut devices = Vec::new();
    for second in 0..60 {
        devices.push(house.sign_in(&ada, after(second)).await);
    }
    house
        .sessions
        .flush(after(60))
        .await
        .expect("the store is in order");
    let ended = devices.remove(3);
    let by = EndedBy::Command;
    house
        .sessions
        .terminate(&ada.key, &[ended.session.id], by, after(60))
        .await
        .expect("it is Ada's");
    for round in 0..3 {
        for created in &devices {
            assert!(house.accepts(&created.token, after(61 + round)).await);
        }
        assert!(!house.accepts(&ended.token, after(61 + round)).await);
        house
            .sessions
            .flush(after(61 + round))
            .await
            .expect("the store is in order");
    }
    assert_eq!(house.listed(&ada, None, after(70)).await.len(), 59);
    assert!(house.sessions.statistics().cached < 59);
}

/// See [`life`].
pub async fn a_random_life_of_sessions_agrees_with_a_simple_model(store: AnyStore) {
    life::live(store, &life::random(600, 42)).await;
}

//! An account sees its sessions, each once, in the order of the contract.

use std::collections::HashSet;

use super::{AnyStore, application};
use crate::conformance::life;
use crate::conformance::people::{House, MORNING, account, after, person, settings};
use crate::policy::Settings;
use crate::session::{EndedBy, SessionId};

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
    // Also when nothing of the account is left but what is on record.
    let key = account(shop, "ada", "Ada L.").key.clone();
    let ended = house
        .sessions
        .terminate_account(&key, EndedBy::Application, after(2))
        .await;
    assert_eq!(ended.expect("the store is in order"), 2);
    assert_eq!(name_of("ada").await.as_deref(), Some("Ada L."));
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

//! A token authenticates one session, and nothing else does.

use super::{AnyStore, application, refusal};
use crate::account::AccountSource;
use crate::conformance::people::{
    HOUR, House, LAPTOP, MORNING, PHONE, account, address, after, person, settings, visit,
};
use crate::session::EndedBy;
use crate::sessions::{Refusal, Verdict};
use crate::token::SessionToken;

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

//! The link that makes the first account.

use std::time::Duration;

use super::*;
use crate::accounts::{AccountError, PasswordRefusal};
use crate::sign_in::{SetUpLink, SetUpRefused};

async fn offered(house: &House) -> SetUpLink {
    house.sign_in.offer_set_up().await.unwrap().unwrap()
}

fn secret(link: &SetUpLink) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(
        link.path
            .strip_prefix("/set-up/")
            .unwrap()
            .as_bytes()
            .to_vec(),
    )
}

async fn press(
    house: &House,
    link: &SetUpLink,
    name: &str,
    password: &str,
) -> Result<SignedIn, SetUpRefused> {
    house
        .sign_in
        .set_up(
            secret(link),
            name.to_owned(),
            Password::new(password),
            visitor("203.0.113.7"),
        )
        .await
}

#[rstest]
#[tokio::test]
async fn the_link_makes_the_first_account_and_signs_its_owner_in(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::new(kind).await;
    let link = offered(&house).await;
    assert!(house.sign_in.may_set_up(&secret(&link)).await.unwrap());
    let signed_in = press(&house, &link, "ada", GOOD_PASSWORD).await.unwrap();
    assert!(house.accepts(&signed_in.token).await);
    assert!(
        house
            .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
    assert!(matches!(
        press(&house, &link, "grace", GOOD_PASSWORD).await,
        Err(SetUpRefused::NotGood)
    ));
    assert!(house.sign_in.offer_set_up().await.unwrap().is_none());
    assert_eq!(format!("{link:?}").matches("lsu_").count(), 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn pressed_fifty_times_at_once_it_works_once(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = Arc::new(House::new(kind).await);
    let link = Arc::new(offered(&house).await);
    let presses = (0..50).map(|number| {
        let (house, link) = (Arc::clone(&house), Arc::clone(&link));
        tokio::spawn(
            async move { press(&house, &link, &format!("ada{number}"), GOOD_PASSWORD).await },
        )
    });
    let mut made = 0;
    for pressed in presses.collect::<Vec<_>>() {
        match pressed.await.unwrap() {
            Ok(_) => made += 1,
            Err(refused) => assert!(matches!(refused, SetUpRefused::NotGood), "{refused:?}"),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(house.accounts.count().await.unwrap(), 1);
    assert_eq!(house.hashing.hashed(), 1);
}

#[rstest]
#[tokio::test]
async fn the_link_is_good_for_an_hour(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let house = House::new(kind).await;
    let link = offered(&house).await;
    house.clock.pass(Duration::from_millis(3_599_999));
    assert!(house.sign_in.may_set_up(&secret(&link)).await.unwrap());
    house.clock.pass(Duration::from_millis(1));
    assert!(!house.sign_in.may_set_up(&secret(&link)).await.unwrap());
    assert!(matches!(
        press(&house, &link, "ada", GOOD_PASSWORD).await,
        Err(SetUpRefused::NotGood)
    ));
}

#[rstest]
#[tokio::test]
async fn a_new_link_is_the_end_of_the_one_before(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::new(kind).await;
    let first = offered(&house).await;
    let second = offered(&house).await;
    assert!(matches!(
        press(&house, &first, "ada", GOOD_PASSWORD).await,
        Err(SetUpRefused::NotGood)
    ));
    assert!(press(&house, &second, "ada", GOOD_PASSWORD).await.is_ok());
}

#[tokio::test]
async fn over_a_file_a_restart_is_the_end_of_the_link() {
    let house = House::new(Kind::Sqlite).await;
    let link = offered(&house).await;
    let house = house.restarted(HashingSettings::cheap()).await;
    assert!(matches!(
        press(&house, &link, "ada", GOOD_PASSWORD).await,
        Err(SetUpRefused::NotGood)
    ));
}

#[tokio::test]
async fn the_link_of_each_node_is_good_at_every_node_and_all_are_good_once() {
    let first = House::new(Kind::Postgres).await;
    let second = first.another_node().await;
    let (of_first, of_second) = (offered(&first).await, offered(&second).await);
    for (house, link) in [(&first, &of_second), (&second, &of_first)] {
        assert!(house.sign_in.may_set_up(&secret(link)).await.unwrap());
    }
    let pressed = tokio::join!(
        press(&first, &of_second, "ada", GOOD_PASSWORD),
        press(&second, &of_first, "grace", GOOD_PASSWORD),
    );
    assert!(pressed.0.is_ok() != pressed.1.is_ok(), "{pressed:?}");
    for (house, link) in [(&first, &of_first), (&second, &of_second)] {
        assert!(!house.sign_in.may_set_up(&secret(link)).await.unwrap());
    }
    assert_eq!(first.accounts.count().await.unwrap(), 1);
    assert_eq!(first.rows("set_up_link"), 0);
}

#[rstest]
#[tokio::test]
async fn the_link_is_good_only_while_there_is_no_account(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::new(kind).await;
    let link = offered(&house).await;
    house.add("grace").await;
    assert!(!house.sign_in.may_set_up(&secret(&link)).await.unwrap());
    assert!(matches!(
        press(&house, &link, "ada", GOOD_PASSWORD).await,
        Err(SetUpRefused::NotGood)
    ));
    let added = house
        .accounts
        .add_first("ada", &Password::new(GOOD_PASSWORD))
        .await;
    assert!(matches!(added, Err(AccountError::NotTheFirst)));
}

#[rstest]
#[tokio::test]
async fn a_name_or_password_that_cannot_be_leaves_the_link_good(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::new(kind).await;
    let link = offered(&house).await;
    assert!(matches!(
        press(&house, &link, "", GOOD_PASSWORD).await,
        Err(SetUpRefused::Name(_))
    ));
    assert!(matches!(
        press(&house, &link, "ada", "password1").await,
        Err(SetUpRefused::Password(PasswordRefusal::Common))
    ));
    assert!(press(&house, &link, "ada", GOOD_PASSWORD).await.is_ok());
}

#[rstest]
#[tokio::test]
async fn no_other_secret_makes_an_account(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let house = House::new(kind).await;
    let link = offered(&house).await;
    let mut text = secret(&link).to_vec();
    text[20] ^= 1;
    assert!(!house.sign_in.may_set_up(&text).await.unwrap());
    let guessed = lastseen::token::Secret::<lastseen::token::SetUpSecret>::generate(
        [7; 16],
        house.entropy.as_ref(),
    );
    for text in [
        guessed.reveal(),
        "lsu_".to_owned(),
        String::new(),
        "x".repeat(10_000),
    ] {
        assert!(!house.sign_in.may_set_up(text.as_bytes()).await.unwrap());
    }
}

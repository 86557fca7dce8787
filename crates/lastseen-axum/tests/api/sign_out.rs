//! `POST /api/v1/sign-out`

use http::header::{AUTHORIZATION, COOKIE};

use crate::world::{World, bearer_request, cookie_request, request};

const PATH: &str = "/api/v1/sign-out";
const CLEARED: &str = "__Host-lastseen=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; SameSite=Lax; Secure";

#[tokio::test]
async fn the_current_session_ends_and_the_browser_forgets() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let other = world.sign_in("ada").await;
    let answer = world.with_cookie(&ada, "POST", PATH).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.set_cookies(), [CLEARED]);
    assert_eq!(answer.headers["clear-site-data"], "\"cache\", \"storage\"");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(!world.accepts(&ada).await);
    assert!(world.accepts(&other).await);
    world
        .with_cookie(&ada, "POST", PATH)
        .await
        .assert_problem(401, "not_signed_in");
}

#[tokio::test]
async fn without_a_session_there_is_nothing_to_sign_out_of() {
    let world = World::new().await;
    world
        .send(request("POST", PATH))
        .await
        .assert_problem(401, "not_signed_in");
}

#[tokio::test]
async fn a_get_signs_nobody_out() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    world
        .with_cookie(&ada, "GET", PATH)
        .await
        .assert_problem(405, "method_not_allowed");
    assert!(world.accepts(&ada).await);
}

#[tokio::test]
async fn a_bearer_clears_the_cookie_unless_it_holds_another_session() {
    let world = World::new().await;

    let ada = world.sign_in("ada").await;
    let answer = world.with_bearer(&ada, "POST", PATH).await;
    assert_eq!(answer.set_cookies(), [CLEARED]);

    let ada = world.sign_in("ada").await;
    let mut same = cookie_request(&world.context, &ada, "POST", PATH);
    same.headers_mut().insert(
        AUTHORIZATION,
        format!("Bearer {}", ada.token).parse().unwrap(),
    );
    assert_eq!(world.send(same).await.set_cookies(), [CLEARED]);

    let ada = world.sign_in("ada").await;
    let grace = world.sign_in("grace").await;
    let mut another = bearer_request(&ada, "POST", PATH);
    let cookie = format!("__Host-lastseen={}", grace.token).parse().unwrap();
    another.headers_mut().insert(COOKIE, cookie);
    let answer = world.send(another).await;
    assert_eq!(answer.status, 204);
    assert!(answer.set_cookies().is_empty());
    assert!(!answer.headers.contains_key("clear-site-data"));
    assert!(!world.accepts(&ada).await);
    assert!(world.accepts(&grace).await);
}

//! `POST /api/v1/sessions/terminate-others`

use std::time::Duration;

use serde_json::json;

use crate::world::{World, request};

const PATH: &str = "/api/v1/sessions/terminate-others";

#[tokio::test]
async fn every_session_of_the_account_but_the_current_one_leaves_the_list() {
    let world = World::new().await;
    let expired = world.sign_in("ada").await;
    world.pass(Duration::from_secs(12 * 60 * 60));
    let other = world.sign_in("ada").await;
    let grace = world.sign_in("grace").await;
    let ada = world.sign_in("ada").await;
    let answer = world.with_cookie(&ada, "POST", PATH).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({"terminated": 2}));
    assert!(answer.set_cookies().is_empty());
    assert!(!world.accepts(&other).await);
    assert!(!world.accepts(&expired).await);
    assert!(world.accepts(&grace).await);
    assert_eq!(world.listed(&ada).await, std::slice::from_ref(&ada.id));
    assert_eq!(
        world.with_cookie(&ada, "POST", PATH).await.json(),
        json!({"terminated": 0})
    );
}

#[tokio::test]
async fn a_body_means_nothing_and_is_limited_all_the_same() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    world
        .post_json(&ada, PATH, "x".repeat(64 * 1024 + 1))
        .await
        .assert_problem(413, "too_large");
    assert_eq!(world.post_json(&ada, PATH, "{}").await.status, 200);
}

#[tokio::test]
async fn without_a_session_nothing_ends() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    world
        .send(request("POST", PATH))
        .await
        .assert_problem(401, "not_signed_in");
    assert!(world.accepts(&ada).await);
}

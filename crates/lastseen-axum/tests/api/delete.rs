//! `DELETE /api/v1/sessions/{id}`

use std::time::Duration;

use crate::world::{World, request, unknown_id};

fn path(id: &str) -> String {
    format!("/api/v1/sessions/{id}")
}

#[tokio::test]
async fn an_active_one_is_terminated_also_the_second_time() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let other = world.sign_in("ada").await;
    for _ in 0..2 {
        let answer = world.with_cookie(&ada, "DELETE", &path(&other.id)).await;
        assert_eq!(answer.status, 204);
        assert!(answer.body.is_empty());
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert!(answer.set_cookies().is_empty());
        assert!(!world.accepts(&other).await);
    }
    assert!(world.accepts(&ada).await);
    assert_eq!(world.listed(&ada).await, [ada.id]);
}

#[tokio::test]
async fn an_expired_one_is_removed_from_the_list() {
    let world = World::new().await;
    let expired = world.sign_in("ada").await;
    world.pass(Duration::from_secs(12 * 60 * 60));
    let ada = world.sign_in("ada").await;
    assert_eq!(world.listed(&ada).await.len(), 2);
    assert_eq!(
        world
            .with_cookie(&ada, "DELETE", &path(&expired.id))
            .await
            .status,
        204
    );
    assert_eq!(world.listed(&ada).await, [ada.id]);
}

#[tokio::test]
async fn with_the_current_one_the_cookie_is_cleared_and_what_the_browser_kept() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let answer = world.with_cookie(&ada, "DELETE", &path(&ada.id)).await;
    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.set_cookies(),
        [
            "__Host-lastseen=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; SameSite=Lax; Secure"
        ]
    );
    assert_eq!(answer.headers["clear-site-data"], "\"cache\", \"storage\"");
    assert!(!world.accepts(&ada).await);
}

#[tokio::test]
async fn anothers_session_and_no_session_look_the_same() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let grace = world.sign_in("grace").await;
    let none = world
        .with_cookie(&ada, "DELETE", &path(&unknown_id()))
        .await;
    none.assert_problem(404, "not_found");
    for id in [
        &*grace.id,
        "x",
        "ABC",
        "%20",
        &grace.id.to_uppercase(),
        &"a".repeat(5_000),
        &ada.token,
    ] {
        let answer = world.with_cookie(&ada, "DELETE", &path(id)).await;
        assert_eq!(answer.status, none.status, "{id}");
        assert_eq!(answer.body, none.body, "{id}");
        assert_eq!(answer.headers, none.headers, "{id}");
    }
    assert!(world.accepts(&grace).await);
}

#[tokio::test]
async fn an_address_that_is_not_soundly_encoded_is_an_invalid_request() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    for id in ["%ff", "%zz", "%", "%4"] {
        let answer = world.with_cookie(&ada, "DELETE", &path(id)).await;
        answer.assert_problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn without_a_session_nothing_ends() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    world
        .send(request("DELETE", &path(&ada.id)))
        .await
        .assert_problem(401, "not_signed_in");
    assert!(world.accepts(&ada).await);
}

#[tokio::test]
async fn where_the_store_fails_the_answer_is_unavailable() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let other = world.sign_in("ada").await;
    world.store.set_unavailable(true);
    let answer = world.with_cookie(&ada, "DELETE", &path(&other.id)).await;
    answer.assert_problem(503, "unavailable");
    assert!(answer.set_cookies().is_empty());
}

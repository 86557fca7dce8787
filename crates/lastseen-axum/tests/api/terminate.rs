//! `POST /api/v1/sessions/terminate`

use std::time::Duration;

use http::header::CONTENT_TYPE;
use serde_json::json;

use crate::world::{World, cookie_request, unknown_id};

const PATH: &str = "/api/v1/sessions/terminate";

fn body(ids: &[&str]) -> String {
    json!({ "ids": ids }).to_string()
}

#[tokio::test]
async fn several_end_at_once_and_the_answer_says_how_many() {
    let world = World::new().await;
    let expired = world.sign_in("ada").await;
    world.pass(Duration::from_secs(12 * 60 * 60));
    let ada = world.sign_in("ada").await;
    let one = world.sign_in("ada").await;
    let two = world.sign_in("ada").await;
    let three = world.sign_in("ada").await;
    let answer = world
        .post_json(&ada, PATH, body(&[&one.id, &two.id, &one.id, &expired.id]))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({"terminated": 3}));
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(answer.set_cookies().is_empty());
    assert!(!world.accepts(&one).await);
    assert!(!world.accepts(&two).await);
    assert_eq!(world.listed(&ada).await, [ada.id.clone(), three.id]);
    // What ended before does not leave the list again.
    let again = world.post_json(&ada, PATH, body(&[&one.id])).await;
    assert_eq!(again.json(), json!({"terminated": 0}));
}

#[tokio::test]
async fn one_id_that_is_not_the_callers_ends_none() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let other = world.sign_in("ada").await;
    let grace = world.sign_in("grace").await;
    for foreign in [
        &*grace.id,
        &unknown_id(),
        "",
        "nonsense",
        &"a".repeat(1_000),
        "\u{0}",
    ] {
        let answer = world
            .post_json(&ada, PATH, body(&[&other.id, foreign]))
            .await;
        answer.assert_problem(404, "not_found");
        assert!(world.accepts(&other).await);
        assert!(world.accepts(&grace).await);
    }
}

#[tokio::test]
async fn with_the_current_one_among_them_the_cookie_is_cleared() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let other = world.sign_in("ada").await;
    let answer = world
        .post_json(&ada, PATH, body(&[&other.id, &ada.id]))
        .await;
    assert_eq!(answer.json(), json!({"terminated": 2}));
    assert!(answer.set_cookies()[0].starts_with("__Host-lastseen=; Max-Age=0;"));
    assert!(!world.accepts(&ada).await);
}

#[tokio::test]
async fn there_are_1_to_1000_ids_and_a_repeated_one_counts_once() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let other = world.sign_in("ada").await;
    world
        .post_json(&ada, PATH, body(&[]))
        .await
        .assert_problem(400, "invalid_request");
    let distinct: Vec<String> = (0..1_001).map(|number| format!("{number:026}")).collect();
    let distinct: Vec<&str> = distinct.iter().map(String::as_str).collect();
    world
        .post_json(&ada, PATH, body(&distinct))
        .await
        .assert_problem(400, "invalid_request");
    world
        .post_json(&ada, PATH, body(&distinct[..1_000]))
        .await
        .assert_problem(404, "not_found");
    let answer = world
        .post_json(&ada, PATH, body(&vec![&*other.id; 1_500]))
        .await;
    assert_eq!(answer.json(), json!({"terminated": 1}));
}

#[tokio::test]
async fn a_body_of_another_form_is_an_invalid_request() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    for body in [
        "",
        "{}",
        "[]",
        "null",
        "{",
        r#"{"ids":null}"#,
        r#"{"ids":"x"}"#,
        r#"{"ids":[1]}"#,
        r#"{"ids":[null]}"#,
        r#"{"ids":{}}"#,
        r#"{"ids":[],"ids":[]}"#,
        r#"{"ids":["x"],"all":true}"#,
        r#"{"ids":["x"]} trailing"#,
    ] {
        world
            .post_json(&ada, PATH, body)
            .await
            .assert_problem(400, "invalid_request");
    }
    let not_text = b"{\"ids\":[\"\xff\"]}".as_slice();
    world
        .post_json(&ada, PATH, not_text)
        .await
        .assert_problem(400, "invalid_request");
}

#[tokio::test]
async fn json_only_and_64_kib_at_most() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let other = world.sign_in("ada").await;
    let wrong = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/json",
    ];
    for content_type in wrong.map(Some).into_iter().chain([None]) {
        let mut asked = cookie_request(&world.context, &ada, "POST", PATH);
        if let Some(content_type) = content_type {
            asked
                .headers_mut()
                .insert(CONTENT_TYPE, content_type.parse().unwrap());
        }
        *asked.body_mut() = body(&[&other.id]).into();
        world
            .send(asked)
            .await
            .assert_problem(415, "unsupported_media_type");
    }
    let large = format!("{{\"ids\":[\"{}\"]}}", "x".repeat(64 * 1024));
    world
        .post_json(&ada, PATH, large)
        .await
        .assert_problem(413, "too_large");
    assert!(world.accepts(&other).await);
}

//! `GET /api/v1/sessions?limit=&cursor=`

use std::collections::BTreeSet;
use std::time::Duration;

use http::header::CACHE_CONTROL;
use serde_json::Value;

use crate::world::{Device, World, ids, request};

const PATH: &str = "/api/v1/sessions";

async fn page(world: &World, device: &Device, query: &str) -> Value {
    let answer = world
        .with_cookie(device, "GET", &format!("{PATH}{query}"))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers[CACHE_CONTROL], "no-store");
    answer.json()
}

#[tokio::test]
async fn the_current_one_comes_first_then_newest_use_first() {
    let world = World::new().await;
    let first = world.sign_in("ada").await;
    let second = world.sign_in("ada").await;
    let third = world.sign_in("ada").await;
    world.pass(Duration::from_secs(60));
    assert!(world.accepts(&second).await);
    world.pass(Duration::from_secs(60));
    let page = page(&world, &first, "").await;
    assert_eq!(ids(&page), [first.id, second.id, third.id]);
    let current: Vec<_> = page["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["current"].as_bool().unwrap())
        .collect();
    assert_eq!(current, [true, false, false]);
    assert_eq!(page["next_cursor"], Value::Null);
}

#[tokio::test]
async fn only_ones_own_sessions_are_listed() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let grace = world.sign_in("grace").await;
    assert_eq!(ids(&page(&world, &ada, "").await), [ada.id]);
    assert_eq!(ids(&page(&world, &grace, "").await), [grace.id]);
}

#[tokio::test]
async fn expired_ones_are_listed_with_no_time_left_and_terminated_ones_are_not() {
    let world = World::new().await;
    let expired = world.sign_in("ada").await;
    world.pass(Duration::from_secs(12 * 60 * 60));
    let ada = world.sign_in("ada").await;
    let terminated = world.sign_in("ada").await;
    world
        .with_bearer(&terminated, "POST", "/api/v1/sign-out")
        .await;
    let page = page(&world, &ada, "").await;
    assert_eq!(ids(&page), [ada.id, expired.id]);
    assert_eq!(page["sessions"][1]["status"], "expired");
    assert_eq!(page["sessions"][1]["time_left_seconds"], 0);
}

#[tokio::test]
async fn a_page_has_50_unless_told() {
    let world = World::new().await;
    for _ in 0..60 {
        world.sign_in("ada").await;
    }
    let ada = world.sign_in("ada").await;
    assert_eq!(ids(&page(&world, &ada, "").await).len(), 50);
    assert_eq!(ids(&page(&world, &ada, "?limit=200").await).len(), 61);
    assert_eq!(ids(&page(&world, &ada, "?limit=1").await), [ada.id]);
}

#[tokio::test]
async fn over_the_pages_each_session_appears_exactly_once() {
    let world = World::new().await;
    let mut expected = BTreeSet::new();
    for _ in 0..25 {
        expected.insert(world.sign_in("ada").await.id);
    }
    let ada = world.sign_in("ada").await;
    expected.insert(ada.id.clone());
    for limit in [1, 2, 7, 25, 26] {
        let mut seen = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let query = match cursor.as_str() {
                None => format!("?limit={limit}"),
                Some(cursor) => format!("?limit={limit}&cursor={cursor}"),
            };
            let page = page(&world, &ada, &query).await;
            let ids = ids(&page);
            assert!(ids.len() <= limit);
            seen.extend(ids);
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(seen.len(), expected.len(), "limit {limit}");
        assert_eq!(seen.first(), Some(&ada.id));
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

#[tokio::test]
async fn a_limit_or_a_cursor_that_means_nothing_is_an_invalid_request() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    for query in [
        "?limit=0",
        "?limit=201",
        "?limit=-1",
        "?limit=x",
        "?limit=",
        "?limit=18446744073709551616",
        "?limit=1&limit=2",
        "?cursor=",
        "?cursor=nonsense",
        "?cursor=%00",
        "?limit=%zz",
        "?limit=%ff",
        "?cursor=%",
    ] {
        let answer = world
            .with_cookie(&ada, "GET", &format!("{PATH}{query}"))
            .await;
        answer.assert_problem(400, "invalid_request");
    }
    assert_eq!(
        ids(&page(&world, &ada, "?utm_source=x&limit=5").await),
        [ada.id]
    );
}

#[tokio::test]
async fn somebody_elses_cursor_shows_nothing_of_his() {
    let world = World::new().await;
    for _ in 0..3 {
        world.sign_in("grace").await;
    }
    let grace = world.sign_in("grace").await;
    let ada = world.sign_in("ada").await;
    let cursor = page(&world, &grace, "?limit=2").await["next_cursor"].clone();
    let query = format!("?cursor={}", cursor.as_str().unwrap());
    for id in ids(&page(&world, &ada, &query).await) {
        assert_eq!(id, ada.id);
    }
}

#[tokio::test]
async fn without_a_session_there_is_no_list() {
    let world = World::new().await;
    world
        .send(request("GET", PATH))
        .await
        .assert_problem(401, "not_signed_in");
    // Who is asking is settled before what is asked.
    world
        .send(request("GET", "/api/v1/sessions?limit=0"))
        .await
        .assert_problem(401, "not_signed_in");
}

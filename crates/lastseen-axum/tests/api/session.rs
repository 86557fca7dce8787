//! `GET /api/v1/session`

use std::time::Duration;

use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, WWW_AUTHENTICATE};

use crate::world::{World, bearer_request, cookie_request, request};

const PATH: &str = "/api/v1/session";
const CHROME: &[u8] =
    b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";

#[tokio::test]
async fn the_current_session_reads_as_in_the_contract() {
    let world = World::new().await;
    let ada = world.sign_in_with("ada", true, CHROME).await;
    world.pass(Duration::from_secs(60));
    let mut asked = cookie_request(&world.context, &ada, "GET", PATH);
    let agent = std::str::from_utf8(CHROME).unwrap().parse().unwrap();
    asked.headers_mut().insert("user-agent", agent);
    let answer = world.send(asked).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
    assert_eq!(
        answer.json(),
        serde_json::json!({
            "id": ada.id,
            "account": {"id": "id of ada", "name": "ada"},
            "current": true,
            "status": "active",
            "operating_system": {"name": "Linux", "version": null},
            "browser": {"name": "Chrome", "version": "120"},
            "user_agent": "Chrome 120 on Linux",
            "ip_address": "203.0.113.7",
            "remembered": true,
            "created_at": "2026-11-24T09:00:00.001Z",
            "last_updated": "2026-11-24T09:01:00.001Z",
            "expires_at": "2026-12-08T09:01:00.001Z",
            "time_left_seconds": 1_209_600,
        })
    );
}

#[tokio::test]
async fn a_cookie_and_a_bearer_token_both_show_who_is_asking() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    assert_eq!(
        world.with_cookie(&ada, "GET", PATH).await.json()["id"],
        ada.id
    );
    assert_eq!(
        world.with_bearer(&ada, "GET", PATH).await.json()["id"],
        ada.id
    );
}

#[tokio::test]
async fn on_plain_http_the_cookie_has_the_plain_name() {
    let world = World::at("http://127.0.0.1:8080").await;
    let ada = world.sign_in("ada").await;
    assert_eq!(world.context.cookie().name(), "lastseen");
    assert_eq!(world.with_cookie(&ada, "GET", PATH).await.status, 200);
    let mut other_name = request("GET", PATH);
    let value = format!("__Host-lastseen={}", ada.token).parse().unwrap();
    other_name.headers_mut().insert(COOKIE, value);
    assert_eq!(world.send(other_name).await.status, 401);
}

#[tokio::test]
async fn unknown_malformed_expired_and_terminated_are_refused_alike() {
    let world = World::new().await;
    let other_world = World::new().await;
    let ada = world.sign_in("ada").await;
    let nobody = world.send(request("GET", PATH)).await;
    nobody.assert_problem(401, "not_signed_in");
    assert_eq!(nobody.headers[CACHE_CONTROL], "no-store");
    assert_eq!(nobody.headers[WWW_AUTHENTICATE], "Bearer");

    let mut refused = Vec::new();
    other_world.sign_in("x").await;
    other_world.sign_in("x").await;
    refused.push(other_world.sign_in("eve").await.token);
    refused.push("lss_".to_owned());
    refused.push("garbage \u{fc}".to_owned());
    refused.push(ada.id.clone());
    refused.push(ada.token[..ada.token.len() - 1].to_owned());
    refused.push(format!("{}=", ada.token));
    refused.push(ada.token.to_uppercase());

    let terminated = world.sign_in("ada").await;
    world
        .with_cookie(&terminated, "POST", "/api/v1/sign-out")
        .await;
    refused.push(terminated.token);
    let expired = world.sign_in("ada").await;
    world.pass(Duration::from_secs(13 * 60 * 60));
    refused.push(expired.token);

    for token in refused {
        let mut by_cookie = request("GET", PATH);
        let value = format!("__Host-lastseen={token}");
        by_cookie.headers_mut().insert(
            COOKIE,
            http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
        let mut by_bearer = request("GET", PATH);
        let value = format!("Bearer {token}");
        by_bearer.headers_mut().insert(
            AUTHORIZATION,
            http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
        for asked in [by_cookie, by_bearer] {
            let answer = world.send(asked).await;
            assert_eq!(answer.status, nobody.status, "{token}");
            assert_eq!(answer.body, nobody.body, "{token}");
            assert_eq!(answer.headers, nobody.headers, "{token}");
        }
    }
}

#[tokio::test]
async fn a_session_is_refused_from_its_deadline_on_to_the_millisecond() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let idle_timeout = 12 * 60 * 60 * 1_000;
    world.pass(Duration::from_millis(idle_timeout - 1));
    assert!(world.accepts(&ada).await);
    world.pass(Duration::from_millis(idle_timeout));
    assert!(!world.accepts(&ada).await);
}

#[tokio::test]
async fn address_and_device_are_those_of_the_last_use() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let mut asked = bearer_request(&ada, "GET", PATH);
    let peer: std::net::SocketAddr = "[2001:db8::1]:1".parse().unwrap();
    asked
        .extensions_mut()
        .insert(axum::extract::ConnectInfo(peer));
    let headers = asked.headers_mut();
    headers.insert(
        "sec-ch-ua",
        "\"Chromium\";v=\"131\", \"Google Chrome\";v=\"131\""
            .parse()
            .unwrap(),
    );
    headers.insert("sec-ch-ua-platform", "\"Windows\"".parse().unwrap());
    headers.insert("sec-ch-ua-platform-version", "\"15.0.0\"".parse().unwrap());
    headers.insert(
        "user-agent",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
            .parse()
            .unwrap(),
    );
    let read = world.send(asked).await.json();
    assert_eq!(read["ip_address"], "2001:db8::1");
    assert_eq!(
        read["operating_system"],
        serde_json::json!({"name": "Windows", "version": "11"})
    );
    assert_eq!(read["browser"]["version"], "131");

    // A use that brings no description leaves the device as it was.
    let mut asked = bearer_request(&ada, "GET", PATH);
    asked
        .extensions_mut()
        .insert(axum::extract::ConnectInfo(peer));
    assert_eq!(
        world.send(asked).await.json()["operating_system"]["version"],
        "11"
    );
}

#[tokio::test]
async fn the_address_is_the_one_that_a_trusted_proxy_vouches_for() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    for (peer, address) in [
        ("10.0.0.1:1", "192.0.2.1"),
        ("198.51.100.1:1", "198.51.100.1"),
    ] {
        let mut asked = bearer_request(&ada, "GET", PATH);
        let peer: std::net::SocketAddr = peer.parse().unwrap();
        asked
            .extensions_mut()
            .insert(axum::extract::ConnectInfo(peer));
        asked.headers_mut().insert(
            "x-forwarded-for",
            "198.51.100.9, 192.0.2.1".parse().unwrap(),
        );
        assert_eq!(world.send(asked).await.json()["ip_address"], address);
    }
}

#[tokio::test]
async fn where_both_are_sent_the_header_counts_and_the_cookie_does_not() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let grace = world.sign_in("grace").await;
    let mut both = cookie_request(&world.context, &ada, "GET", PATH);
    let value = format!("bEaReR {}", grace.token).parse().unwrap();
    both.headers_mut().insert(AUTHORIZATION, value);
    assert_eq!(world.send(both).await.json()["id"], grace.id);

    let mut bad_header = cookie_request(&world.context, &ada, "GET", PATH);
    bad_header
        .headers_mut()
        .insert(AUTHORIZATION, "Bearer nonsense".parse().unwrap());
    world
        .send(bad_header)
        .await
        .assert_problem(401, "not_signed_in");

    let mut two_headers = cookie_request(&world.context, &ada, "GET", PATH);
    let value: http::HeaderValue = format!("Bearer {}", ada.token).parse().unwrap();
    two_headers
        .headers_mut()
        .append(AUTHORIZATION, value.clone());
    two_headers.headers_mut().append(AUTHORIZATION, value);
    world
        .send(two_headers)
        .await
        .assert_problem(401, "not_signed_in");
}

#[tokio::test]
async fn two_cookies_of_our_name_with_different_values_are_no_sign_in() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let grace = world.sign_in("grace").await;
    for (first, second, status) in [
        (&ada.token, &grace.token, 401),
        (&grace.token, &ada.token, 401),
        (&ada.token, &String::new(), 401),
        (&ada.token, &ada.token, 200),
    ] {
        let mut asked = request("GET", PATH);
        let line = format!("__Host-lastseen={first}; __Host-lastseen={second}");
        asked.headers_mut().insert(COOKIE, line.parse().unwrap());
        assert_eq!(world.send(asked).await.status, status);
    }
}

#[tokio::test]
async fn head_says_what_get_says_without_the_body() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let get = world.with_bearer(&ada, "GET", PATH).await;
    let head = world.with_bearer(&ada, "HEAD", PATH).await;
    assert_eq!(head.status, 200);
    assert!(head.body.is_empty());
    assert_eq!(head.headers["content-length"], get.body.len().to_string());
}

#[tokio::test]
async fn a_store_that_cannot_be_asked_is_unavailable_and_never_not_signed_in() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    world.store.set_unavailable(true);
    // What is in memory is answered still; a token that only the store could judge is not.
    assert!(world.accepts(&ada).await);
    let token = lastseen::SessionToken::generate([9; 16], world.context.entropy()).reveal();
    let unknown = crate::world::Device {
        id: String::new(),
        token,
    };
    world
        .with_bearer(&unknown, "GET", PATH)
        .await
        .assert_problem(503, "unavailable");
    world
        .with_cookie(&unknown, "GET", PATH)
        .await
        .assert_problem(503, "unavailable");
    world.store.set_unavailable(false);
    assert!(!world.accepts(&unknown).await);
}

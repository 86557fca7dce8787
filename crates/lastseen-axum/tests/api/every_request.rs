//! What holds of every request, whatever it asks for.

use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, COOKIE};

use crate::world::{Answer, World, bearer_request, cookie_request, request};

const UNSAFE: [(&str, &str); 4] = [
    ("DELETE", "/api/v1/sessions/00000000000000000000000000"),
    ("POST", "/api/v1/sessions/terminate"),
    ("POST", "/api/v1/sessions/terminate-others"),
    ("POST", "/api/v1/sign-out"),
];

#[track_caller]
fn assert_forbidden(answer: &Answer) {
    answer.assert_problem(403, "forbidden");
    assert!(answer.set_cookies().is_empty());
}

#[tokio::test]
async fn an_unsafe_request_with_the_cookie_must_come_from_the_same_origin() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let foreign = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "https://sibling.account.example"),
        ("origin", "http://account.example"),
        ("origin", "null"),
    ];
    for (method, path) in UNSAFE {
        for (name, value) in foreign {
            let mut asked = cookie_request(&world.context, &ada, method, path);
            asked.headers_mut().insert(name, value.parse().unwrap());
            assert_forbidden(&world.send(asked).await);
        }
    }
    assert!(world.accepts(&ada).await);
}

#[tokio::test]
async fn a_cookie_that_signs_nobody_in_is_a_cookie_all_the_same() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    for cookie in [
        "__Host-lastseen=",
        "__Host-lastseen=x",
        "__Host-lastseen=x; __Host-lastseen=y",
    ] {
        let mut asked = bearer_request(&ada, "POST", "/api/v1/sign-out");
        asked.headers_mut().insert(COOKIE, cookie.parse().unwrap());
        asked
            .headers_mut()
            .insert("origin", "https://evil.example".parse().unwrap());
        assert_forbidden(&world.send(asked).await);
    }
}

#[tokio::test]
async fn a_bearer_token_beside_the_cookie_does_not_lift_the_origin_check() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let mut both = cookie_request(&world.context, &ada, "POST", "/api/v1/sign-out");
    both.headers_mut().insert(
        AUTHORIZATION,
        format!("Bearer {}", ada.token).parse().unwrap(),
    );
    both.headers_mut()
        .insert("sec-fetch-site", "cross-site".parse().unwrap());
    assert_forbidden(&world.send(both).await);
    assert!(world.accepts(&ada).await);
}

#[tokio::test]
async fn a_bearer_token_alone_comes_from_anywhere_and_touches_no_cookie_from_elsewhere() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let mut asked = bearer_request(&ada, "POST", "/api/v1/sign-out");
    asked
        .headers_mut()
        .insert("sec-fetch-site", "cross-site".parse().unwrap());
    let answer = world.send(asked).await;
    assert_eq!(answer.status, 204);
    assert!(answer.set_cookies().is_empty());
}

#[tokio::test]
async fn our_own_pages_and_programs_that_are_no_browser_pass() {
    for headers in [
        &[] as &[(&str, &str)],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://account.example")],
        &[
            ("sec-fetch-site", "same-origin"),
            ("origin", "https://account.example"),
        ],
    ] {
        let world = World::new().await;
        let ada = world.sign_in("ada").await;
        let mut asked = cookie_request(&world.context, &ada, "POST", "/api/v1/sign-out");
        for (name, value) in headers {
            asked.headers_mut().insert(*name, value.parse().unwrap());
        }
        assert_eq!(world.send(asked).await.status, 204, "{headers:?}");
    }
}

#[tokio::test]
async fn a_safe_request_from_elsewhere_is_answered_and_grants_nothing_to_its_page() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let mut asked = cookie_request(&world.context, &ada, "GET", "/api/v1/session");
    asked
        .headers_mut()
        .insert("origin", "https://evil.example".parse().unwrap());
    let answer = world.send(asked).await;
    assert_eq!(answer.status, 200);
    assert!(
        !answer
            .headers
            .keys()
            .any(|name| name.as_str().starts_with("access-control-"))
    );
}

#[tokio::test]
async fn unknown_addresses_are_not_found_and_badly_encoded_ones_invalid() {
    let world = World::new().await;
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/session/",
        "/api/v1/sessions/x/y",
        "/api/v2/session",
        "/%41",
    ] {
        world
            .send(request("GET", path))
            .await
            .assert_problem(404, "not_found");
    }
    for path in ["/%", "/%zz", "/%ff", "/api/v1/%"] {
        world
            .send(request("GET", path))
            .await
            .assert_problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_method_that_an_address_does_not_take_is_refused_with_those_it_takes() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    for (path, allowed, refused) in [
        (
            "/api/v1/session",
            "GET,HEAD",
            &[
                "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONSENSE",
            ] as &[_],
        ),
        ("/api/v1/sessions", "GET,HEAD", &["POST", "DELETE"]),
        (
            "/api/v1/sessions/x",
            "DELETE",
            &["GET", "HEAD", "POST", "PUT", "PATCH"],
        ),
        ("/api/v1/sessions/terminate", "POST", &["GET", "DELETE"]),
        (
            "/api/v1/sessions/terminate-others",
            "POST",
            &["GET", "DELETE"],
        ),
        ("/api/v1/sign-out", "POST", &["GET", "HEAD", "DELETE"]),
    ] {
        for method in refused {
            let answer = world.with_bearer(&ada, method, path).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.headers[ALLOW], allowed, "{method} {path}");
            if *method != "HEAD" {
                answer.assert_problem(405, "method_not_allowed");
            }
        }
    }
}

#[tokio::test]
async fn no_header_and_no_field_turns_one_method_into_another() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    for (name, value) in [
        ("x-http-method-override", "POST"),
        ("x-method-override", "POST"),
    ] {
        let mut asked = bearer_request(&ada, "GET", "/api/v1/sign-out?_method=POST");
        asked.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(world.send(asked).await.status, 405);
    }
    assert!(world.accepts(&ada).await);
}

#[tokio::test]
async fn every_response_says_what_a_browser_may_do_with_it() {
    let world = World::new().await;
    let ada = world.sign_in("ada").await;
    let mut foreign = cookie_request(&world.context, &ada, "POST", "/api/v1/sign-out");
    foreign
        .headers_mut()
        .insert("sec-fetch-site", "cross-site".parse().unwrap());
    let answers = [
        world.with_cookie(&ada, "GET", "/api/v1/session").await,
        world.with_cookie(&ada, "GET", "/api/v1/sessions").await,
        world
            .with_cookie(&ada, "GET", "/api/v1/sessions?limit=0")
            .await,
        world.with_cookie(&ada, "PUT", "/api/v1/sessions").await,
        world.with_cookie(&ada, "GET", "/nowhere").await,
        world.send(request("GET", "/api/v1/session")).await,
        world.send(foreign).await,
        world
            .post_json(&ada, "/api/v1/sessions/terminate", "x".repeat(70_000))
            .await,
        world.with_cookie(&ada, "POST", "/api/v1/sign-out").await,
    ];
    let statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    assert_eq!(statuses, [200, 200, 400, 405, 404, 401, 403, 413, 204]);
    for answer in answers {
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["referrer-policy"], "same-origin");
        assert_eq!(answer.headers["cross-origin-opener-policy"], "same-origin");
        assert_eq!(
            answer.headers["cross-origin-resource-policy"],
            "same-origin"
        );
        assert_eq!(
            answer.headers["strict-transport-security"],
            "max-age=63072000"
        );
        assert_eq!(answer.headers[CACHE_CONTROL], "no-store");
    }
}

#[tokio::test]
async fn a_handler_outside_of_the_layer_is_unavailable_rather_than_open() {
    use axum::body::Body;
    use tower::ServiceExt as _;

    let app: axum::Router = lastseen_axum::api::router();
    let response = app
        .oneshot(
            http::Request::get("/api/v1/session")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    assert_eq!(response.unwrap().status(), 503);
}

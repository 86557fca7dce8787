//! The requests, through a router as the server has it.

mod pages;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, RETRY_AFTER, SET_COOKIE};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use lastseen_axum::{PublicUrl, SecurityHeaders, SessionsContext, SessionsLayer};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::sign_in::return_target::ReturnTargets;
use crate::sign_in::{api, forms};

const HTTPS: &str = "https://account.example";
const NEW_PASSWORD: &str = "four grey herons at dusk";

/// A server without a listener.
struct Server {
    house: House,
    router: Router,
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: String,
}

impl Server {
    fn of(house: House, public_url: &str) -> Self {
        let public_url = PublicUrl::parse(public_url).unwrap();
        let context = SessionsContext::new(house.sessions.clone(), public_url.clone())
            .with_clock(house.clock.clone())
            .with_entropy(house.entropy.clone());
        let router = Router::new()
            .merge(lastseen_axum::api::router())
            .merge(api::router(house.sign_in.clone()))
            .merge(forms::router(
                house.sign_in.clone(),
                crate::pages::site(),
                ReturnTargets::new(public_url.clone(), []),
            ))
            .layer(SessionsLayer::new(context))
            .layer(SecurityHeaders::new(&public_url));
        Self { house, router }
    }

    async fn with_ada() -> Self {
        Self::of(House::with_ada(Kind::Sqlite).await, HTTPS)
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body)).unwrap();
        let peer: std::net::SocketAddr = "203.0.113.7:5000".parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, String::new()).await
    }

    async fn post_json(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let mut all = vec![(CONTENT_TYPE.as_str(), "application/json")];
        all.extend(headers);
        self.send("POST", path, &all, body.to_string()).await
    }

    async fn post_form(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        fields: &[(&str, &str)],
    ) -> Answer {
        let mut all = vec![(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded")];
        all.extend(headers);
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.send("POST", path, &all, body).await
    }

    async fn sign_in(&self, headers: &[(&str, &str)], password: &str) -> Answer {
        let body = json!({"username": "ada", "password": password});
        self.post_json("/api/v1/sign-in", headers, body).await
    }

    async fn is_signed_in(&self, cookie: &str) -> bool {
        self.get("/api/v1/session", &[(COOKIE.as_str(), cookie)])
            .await
            .status
            == StatusCode::OK
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }

    /// The `Set-Cookie` lines.
    fn cookies(&self) -> Vec<String> {
        self.headers
            .get_all(SET_COOKIE)
            .iter()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    /// What a browser would send back.
    fn cookie(&self) -> String {
        let cookies = self.cookies();
        let pairs: Vec<_> = cookies
            .iter()
            .map(|line| line.split(';').next().unwrap())
            .collect();
        pairs.join("; ")
    }

    fn location(&self) -> &str {
        self.headers[LOCATION].to_str().unwrap()
    }
}

#[tokio::test]
async fn a_program_gets_its_token_and_the_cookie() {
    let server = Server::with_ada().await;
    let answer = server.sign_in(&[], GOOD_PASSWORD).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let body = answer.json();
    assert_eq!(body["session"]["account"]["name"], "ada");
    assert_eq!(body["session"]["current"], true);
    assert_eq!(body["session"]["ip_address"], "203.0.113.7");
    assert_eq!(body["session"]["remembered"], false);
    let token = body["token"].as_str().unwrap();
    let bearer = format!("Bearer {token}");
    assert_eq!(
        server
            .get("/api/v1/session", &[("authorization", &bearer)])
            .await
            .status,
        StatusCode::OK
    );
    let cookies = answer.cookies();
    assert!(
        cookies[0].starts_with(&format!("__Host-lastseen={token};")),
        "{cookies:?}"
    );
    assert!(!cookies[0].contains("Max-Age"));
    assert!(cookies[1].starts_with("__Host-lastseen-browser=lsb_"));
    assert!(server.is_signed_in(&answer.cookie()).await);
}

#[tokio::test]
async fn a_browser_gets_its_token_by_the_cookie_alone() {
    let server = Server::with_ada().await;
    for header in [("sec-fetch-site", "same-origin"), (ORIGIN.as_str(), HTTPS)] {
        let answer = server.sign_in(&[header], GOOD_PASSWORD).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.json().get("token"), None);
        assert!(server.is_signed_in(&answer.cookie()).await);
    }
}

#[tokio::test]
async fn a_remembered_cookie_lives_as_long_as_the_absolute_lifetime() {
    let server = Server::with_ada().await;
    let body = json!({"username": "ada", "password": GOOD_PASSWORD, "remember": true});
    let answer = server.post_json("/api/v1/sign-in", &[], body).await;
    assert!(
        answer.cookies()[0].contains("; Max-Age=2592000;"),
        "{:?}",
        answer.cookies()
    );
    assert_eq!(answer.json()["session"]["remembered"], true);
}

#[tokio::test]
async fn sign_in_from_another_origin_is_forbidden() {
    let server = Server::with_ada().await;
    for header in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        (ORIGIN.as_str(), "https://elsewhere.example"),
        (ORIGIN.as_str(), "null"),
        (ORIGIN.as_str(), "http://account.example"),
    ] {
        let answer = server.sign_in(&[header], GOOD_PASSWORD).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::FORBIDDEN, "forbidden"),
            "{header:?}"
        );
        assert!(answer.cookies().is_empty());
        let fields = [("username", "ada"), ("password", GOOD_PASSWORD)];
        let answer = server.post_form("/sign-in", &[header], &fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{header:?}");
        assert!(answer.cookies().is_empty());
    }
}

#[tokio::test]
async fn wrong_name_wrong_password_and_disabled_account_read_the_same() {
    let server = Server::with_ada().await;
    server.house.add("grace").await;
    server.house.accounts.disable("grace").await.unwrap();
    let mut answers = Vec::new();
    for (name, password) in [
        ("nobody", GOOD_PASSWORD),
        ("ada", "wrong"),
        ("grace", GOOD_PASSWORD),
        ("", ""),
    ] {
        let body = json!({"username": name, "password": password});
        let answer = server.post_json("/api/v1/sign-in", &[], body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        answers.push((answer.headers, answer.body));
    }
    assert!(answers[0].1.contains("invalid_credentials"));
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[tokio::test]
async fn a_request_that_is_none_is_refused_in_its_own_way() {
    let server = Server::with_ada().await;
    let good = json!({"username": "ada", "password": GOOD_PASSWORD}).to_string();
    for (kind, body, expected) in [
        ("application/json", "{", "invalid_request"),
        (
            "application/json",
            r#"{"username":"ada"}"#,
            "invalid_request",
        ),
        (
            "application/json",
            r#"{"username":"ada","password":1}"#,
            "invalid_request",
        ),
        (
            "application/json",
            r#"{"username":"ada","password":"x","admin":true}"#,
            "invalid_request",
        ),
        ("text/plain", good.as_str(), "unsupported_media_type"),
        (
            "application/x-www-form-urlencoded",
            "username=ada&password=x",
            "unsupported_media_type",
        ),
    ] {
        let answer = server
            .send(
                "POST",
                "/api/v1/sign-in",
                &[(CONTENT_TYPE.as_str(), kind)],
                body.to_owned(),
            )
            .await;
        assert_eq!(answer.code(), expected, "{body}");
        assert!(!answer.body.contains("violet"));
    }
    let huge = json!({"username": "ada", "password": "x".repeat(70_000)});
    assert_eq!(
        server.post_json("/api/v1/sign-in", &[], huge).await.code(),
        "too_large"
    );
    let long = json!({"username": "ada", "password": "x".repeat(60_000)});
    assert_eq!(
        server.post_json("/api/v1/sign-in", &[], long).await.code(),
        "invalid_credentials"
    );
    assert_eq!(
        server.get("/api/v1/sign-in", &[]).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn too_many_failures_are_429_with_a_time_to_come_back() {
    let server = Server::with_ada().await;
    for _ in 0..10 {
        assert_eq!(
            server.sign_in(&[], "wrong").await.status,
            StatusCode::UNAUTHORIZED
        );
    }
    let answer = server.sign_in(&[], GOOD_PASSWORD).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers[RETRY_AFTER], "900");
    assert_eq!(answer.code(), "too_many_requests");
    let fields = [("username", "ada"), ("password", GOOD_PASSWORD)];
    let page = server.post_form("/sign-in", &[], &fields).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(page.headers[RETRY_AFTER], "900");
    assert!(
        page.body.contains("Too many tries. Again in 15 min."),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn the_session_whose_cookie_came_along_ends() {
    let server = Server::with_ada().await;
    let first = server
        .sign_in(&[("sec-fetch-site", "same-origin")], GOOD_PASSWORD)
        .await;
    let headers = [
        ("sec-fetch-site", "same-origin"),
        (COOKIE.as_str(), &first.cookie()),
    ];
    let second = server.sign_in(&headers, GOOD_PASSWORD).await;
    assert!(!server.is_signed_in(&first.cookie()).await);
    assert!(server.is_signed_in(&second.cookie()).await);
    let listed = server
        .get("/api/v1/sessions", &[(COOKIE.as_str(), &second.cookie())])
        .await;
    assert_eq!(listed.json()["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_changed_password_renews_the_token_under_the_same_id() {
    let server = Server::with_ada().await;
    let own = server.sign_in(&[], GOOD_PASSWORD).await;
    let other = server.sign_in(&[], GOOD_PASSWORD).await;
    let bearer = format!("Bearer {}", own.json()["token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let body = json!({"current_password": GOOD_PASSWORD, "new_password": NEW_PASSWORD});
    let changed = server
        .post_json("/api/v1/password", &headers, body.clone())
        .await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    assert_eq!(changed.json()["session"]["id"], own.json()["session"]["id"]);
    assert!(
        !server.is_signed_in(&own.cookie()).await && !server.is_signed_in(&other.cookie()).await
    );
    assert!(server.is_signed_in(&changed.cookie()).await);
    let again = server.post_json("/api/v1/password", &headers, body).await;
    assert_eq!(
        (again.status, again.code().as_str()),
        (StatusCode::UNAUTHORIZED, "not_signed_in")
    );
}

#[tokio::test]
async fn a_new_password_is_refused_with_the_reason() {
    let server = Server::with_ada().await;
    let own = server.sign_in(&[], GOOD_PASSWORD).await;
    let cookie = own.cookie();
    let headers = [(COOKIE.as_str(), cookie.as_str())];
    let too_long = "ab cd".repeat(26);
    for (new, reason) in [
        ("short", "at least 8"),
        (too_long.as_str(), "at most 128"),
        ("Password1", "too common"),
    ] {
        let body = json!({"current_password": GOOD_PASSWORD, "new_password": new});
        let refused = server.post_json("/api/v1/password", &headers, body).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (StatusCode::BAD_REQUEST, "invalid_request")
        );
        assert!(
            refused.json()["detail"].as_str().unwrap().contains(reason),
            "{}",
            refused.body
        );
        let fields = [("current_password", GOOD_PASSWORD), ("new_password", new)];
        let page = server.post_form("/password", &headers, &fields).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert!(page.body.contains(reason), "{}", page.body);
    }
    let body = json!({"current_password": "wrong", "new_password": NEW_PASSWORD});
    let refused = server.post_json("/api/v1/password", &headers, body).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::UNAUTHORIZED, "invalid_credentials")
    );
    assert!(server.is_signed_in(&cookie).await);
}

#[test]
fn the_description_names_both_requests() {
    let description = serde_json::to_value(api::openapi()).unwrap();
    for path in ["/api/v1/sign-in", "/api/v1/password"] {
        let responses = &description["paths"][path]["post"]["responses"];
        for status in ["401", "429"] {
            assert!(responses[status].is_object(), "{description}");
        }
    }
    assert_eq!(
        description["components"]["schemas"]["SignInRequest"]["additionalProperties"],
        false
    );
}

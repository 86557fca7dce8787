//! A service with sessions in memory, a clock that a test holds in its hand, and people with devices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use lastseen::store::memory::MemoryStore;
use lastseen::{
    Account, AccountId, AccountSource, Clock, Entropy, NewSession, SessionId, Sessions, Settings,
    Timestamp, Visit,
};
use lastseen_axum::{PublicUrl, SecurityHeaders, SessionsContext, SessionsLayer, api, problem};
use serde_json::Value;
use tower::ServiceExt as _;

/// 2026-11-24T09:00:00Z.
const START: i64 = 1_795_510_800_000;

pub(crate) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::Relaxed))
    }
}

/// Different bytes each time, the same in each run.
#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for byte in bytes {
            state ^= state >> 29;
            state = state.wrapping_mul(0xBF58_476D_1CE4_E5B9).wrapping_add(1);
            *byte = state.to_be_bytes()[0];
        }
    }
}

pub(crate) struct World {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) context: SessionsContext,
    app: Router,
}

/// One device that somebody is signed in on.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) token: String,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        let cookies = self.headers.get_all(SET_COOKIE).iter();
        cookies.map(|value| value.to_str().unwrap()).collect()
    }

    /// Asserts that it is a problem with this status and code.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json");
        let document = self.json();
        assert_eq!(document["code"], code);
        assert_eq!(document["status"], status);
        assert!(document["title"].is_string() && document["detail"].is_string());
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::at("https://account.example").await
    }

    pub(crate) async fn at(public_url: &str) -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(TestClock(AtomicI64::new(START)));
        let sessions = Sessions::open(store.clone(), Settings::default(), clock.now())
            .await
            .unwrap();
        let public_url = PublicUrl::parse(public_url).unwrap();
        let headers = SecurityHeaders::new(&public_url);
        let context = SessionsContext::new(sessions, public_url)
            .with_clock(clock.clone())
            .with_entropy(Arc::new(Counting::default()))
            .with_trusted_proxies(["10.0.0.0/8".parse().unwrap()].into_iter().collect());
        let app = api::router()
            .fallback(problem::not_found)
            .layer(SessionsLayer::new(context.clone()))
            .layer(headers);
        Self {
            store,
            clock,
            context,
            app,
        }
    }

    pub(crate) fn pass(&self, duration: Duration) {
        let milliseconds = i64::try_from(duration.as_millis()).unwrap();
        self.clock.0.fetch_add(milliseconds, Ordering::Relaxed);
    }

    pub(crate) async fn sign_in(&self, name: &str) -> Device {
        self.sign_in_with(name, false, b"curl/8.1").await
    }

    pub(crate) async fn sign_in_with(
        &self,
        name: &str,
        remembered: bool,
        user_agent: &[u8],
    ) -> Device {
        // Later than any session before it, so that the order of a list is certain.
        self.pass(Duration::from_millis(1));
        let id = AccountId::new(&format!("id of {name}")).unwrap();
        let account = Arc::new(Account::new(AccountSource::BuiltIn, id, name));
        let visit = Visit {
            ip_address: Some("203.0.113.7".parse().unwrap()),
            client: lastseen::ClientDescription::of_user_agent(user_agent),
        };
        let new = NewSession {
            account: &account,
            remembered,
            visit,
            replaces: None,
        };
        let context = &self.context;
        let created = context
            .sessions()
            .create(new, self.clock.now(), context.entropy())
            .await
            .unwrap();
        Device {
            id: created.session.id.to_string(),
            token: created.token.reveal(),
        }
    }

    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        let peer: SocketAddr = "203.0.113.7:40000".parse().unwrap();
        if request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .is_none()
        {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// A request with the device's cookie.
    pub(crate) async fn with_cookie(&self, device: &Device, method: &str, path: &str) -> Answer {
        self.send(cookie_request(&self.context, device, method, path))
            .await
    }

    /// A request with the device's token.
    pub(crate) async fn with_bearer(&self, device: &Device, method: &str, path: &str) -> Answer {
        self.send(bearer_request(device, method, path)).await
    }

    /// A JSON body with the device's cookie.
    pub(crate) async fn post_json(
        &self,
        device: &Device,
        path: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = cookie_request(&self.context, device, "POST", path);
        request
            .headers_mut()
            .insert(CONTENT_TYPE, "application/json".parse().unwrap());
        *request.body_mut() = body.into();
        self.send(request).await
    }

    /// Whether the device is signed in.
    pub(crate) async fn accepts(&self, device: &Device) -> bool {
        let answer = self.with_bearer(device, "GET", "/api/v1/session").await;
        match answer.status.as_u16() {
            200 => true,
            401 => false,
            other => panic!("{other} for the session of {}", device.id),
        }
    }

    /// The ids in the device's list, as it stands.
    pub(crate) async fn listed(&self, device: &Device) -> Vec<String> {
        let answer = self
            .with_bearer(device, "GET", "/api/v1/sessions?limit=200")
            .await;
        ids(&answer.json())
    }
}

pub(crate) fn ids(page: &Value) -> Vec<String> {
    let sessions = page["sessions"].as_array().unwrap().iter();
    sessions
        .map(|session| session["id"].as_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn request(method: &str, path: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(Body::empty())
        .unwrap()
}

pub(crate) fn cookie_request(
    context: &SessionsContext,
    device: &Device,
    method: &str,
    path: &str,
) -> Request<Body> {
    let mut request = request(method, path);
    let cookie = format!("theme=dark; {}={}", context.cookie().name(), device.token);
    request
        .headers_mut()
        .insert(COOKIE, cookie.parse().unwrap());
    request
}

pub(crate) fn bearer_request(device: &Device, method: &str, path: &str) -> Request<Body> {
    let mut request = request(method, path);
    let value = format!("Bearer {}", device.token);
    request
        .headers_mut()
        .insert(AUTHORIZATION, value.parse().unwrap());
    request
}

/// An id of the right form that was never given to a session.
pub(crate) fn unknown_id() -> String {
    SessionId::from_bytes([7; 16]).to_string()
}

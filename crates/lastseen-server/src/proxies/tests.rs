//! The checks, over sessions in memory and without a proxy.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, LOCATION};
use http::{HeaderMap, Request, StatusCode};
use lastseen::sessions::NewSession;
use lastseen::store::memory::MemoryStore;
use lastseen::{
    Account, AccountId, AccountSource, ApplicationId, Clock as _, EndedBy, Session, Sessions,
    Settings, Visit,
};
use lastseen_axum::{PublicUrl, SessionsContext, SessionsLayer};
use tower::ServiceExt as _;

use crate::accounts::testing::{CountingEntropy, TestClock};
use crate::sign_in::{ReturnHost, ReturnTargets};

const PAGE: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
const PROXY: &str = "127.0.0.1:5000";
const SOMEBODY: &str = "203.0.113.9:5000";

struct Server {
    store: Arc<MemoryStore>,
    sessions: Sessions,
    clock: Arc<TestClock>,
    entropy: Arc<CountingEntropy>,
    router: Router,
}

/// Somebody's session and the cookie that holds its token.
struct SignedIn {
    session: Session,
    token: String,
    cookie: String,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
}

impl Answer {
    fn header(&self, name: impl http::header::AsHeaderName) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

impl Server {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(TestClock::new());
        let entropy = Arc::new(CountingEntropy::default());
        let sessions = Sessions::open(store.clone(), Settings::default(), clock.now())
            .await
            .unwrap();
        let public_url = PublicUrl::parse("https://sessions.example.org").unwrap();
        let context = SessionsContext::new(sessions.clone(), public_url.clone())
            .with_trusted_proxies(["127.0.0.1/32".parse().unwrap()].into_iter().collect())
            .with_clock(clock.clone())
            .with_entropy(entropy.clone());
        let targets = ReturnTargets::new(public_url, ReturnHost::read("wiki.example.org"));
        let router = Router::new()
            .merge(super::router(targets))
            .layer(SessionsLayer::new(context));
        Self {
            store,
            sessions,
            clock,
            entropy,
            router,
        }
    }

    async fn sign_in(&self, source: AccountSource, id: &str, name: &str) -> SignedIn {
        let account = Arc::new(Account::new(source, AccountId::new(id).unwrap(), name));
        let new = NewSession {
            account: &account,
            remembered: false,
            visit: Visit::default(),
            replaces: None,
        };
        let created = self
            .sessions
            .create(new, self.clock.now(), &*self.entropy)
            .await
            .unwrap();
        let token = created.token.reveal();
        SignedIn {
            session: created.session,
            cookie: format!("__Host-lastseen={token}"),
            token,
        }
    }

    async fn ada(&self) -> SignedIn {
        self.sign_in(AccountSource::BuiltIn, "0123", "ada").await
    }

    async fn ask_from(
        &self,
        peer: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        let peer: std::net::SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
        }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask_from(PROXY, "GET", path, headers).await
    }
}

const BOTH: [&str; 2] = ["/auth-request", "/forward-auth"];

#[tokio::test]
async fn somebody_signed_in_is_named_by_cookie_and_by_bearer() {
    let server = Server::new().await;
    let ada = server.ada().await;
    let bearer = format!("Bearer {}", ada.token);
    for path in BOTH {
        for (name, value) in [(COOKIE, &ada.cookie), (AUTHORIZATION, &bearer)] {
            let answer = server.get(path, &[(name.as_str(), value)]).await;
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(answer.header("remote-user"), "ada");
            assert_eq!(answer.header("remote-account"), "0123");
            assert_eq!(answer.header("remote-session"), ada.session.id.to_string());
        }
    }
}

#[tokio::test]
async fn a_check_is_a_use_from_the_visitors_address() {
    let server = Server::new().await;
    let ada = server.ada().await;
    for (path, address) in [
        ("/auth-request", "203.0.113.7"),
        ("/forward-auth", "203.0.113.8"),
    ] {
        server.clock.pass(std::time::Duration::from_secs(60));
        let headers = [
            (COOKIE.as_str(), &*ada.cookie),
            ("x-forwarded-for", address),
            ("user-agent", "curl/8.5.0"),
        ];
        server.get(path, &headers).await;
        let now = server.clock.now();
        let listed = server
            .sessions
            .list(&ada.session.account.key, None, 10, None, now)
            .await
            .unwrap();
        let session = &listed.sessions[0];
        assert_eq!(session.last_used_at, now);
        assert_eq!(session.ip_address, Some(address.parse().unwrap()));
        assert!(session.device.label().starts_with("curl"));
    }
}

#[tokio::test]
async fn nobody_and_a_session_that_ended_are_refused_alike() {
    let server = Server::new().await;
    let ada = server.ada().await;
    let now = server.clock.now();
    let ended = server
        .sessions
        .terminate(
            &ada.session.account.key,
            &[ada.session.id],
            EndedBy::Command,
            now,
        )
        .await;
    assert_eq!(ended.unwrap(), 1);
    let other = server.ada().await;
    let two = format!("{}; __Host-lastseen=x", other.cookie);
    for path in BOTH {
        for headers in [
            &[] as &[(&str, &str)],
            &[(COOKIE.as_str(), &ada.cookie)],
            &[(COOKIE.as_str(), &two)],
            &[(AUTHORIZATION.as_str(), "Bearer x")],
        ] {
            let answer = server.get(path, headers).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
            assert_eq!(answer.headers[CONTENT_TYPE], "application/problem+json");
            assert!(!answer.headers.contains_key("remote-user"));
        }
    }
}

#[tokio::test]
async fn forward_auth_leads_a_page_to_sign_in_and_nothing_else() {
    let server = Server::new().await;
    for accept in [
        PAGE,
        "text/html",
        "TEXT/HTML; q=0.5",
        "*/*, text/html;level=1",
    ] {
        let answer = server
            .get("/forward-auth", &[(ACCEPT.as_str(), accept)])
            .await;
        assert_eq!(answer.status, StatusCode::FOUND, "{accept}");
        assert_eq!(
            answer.header(LOCATION),
            "https://sessions.example.org/sign-in"
        );
        let answer = server
            .get("/auth-request", &[(ACCEPT.as_str(), accept)])
            .await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    for accept in [
        "",
        "*/*",
        "text/*",
        "application/json",
        "text/htmlx",
        "text/html;q=0",
    ] {
        let answer = server
            .get("/forward-auth", &[(ACCEPT.as_str(), accept)])
            .await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{accept}");
    }
}

#[tokio::test]
async fn the_way_back_is_what_a_trusted_proxy_says_that_the_visitor_asked_for() {
    let server = Server::new().await;
    let asked = |scheme, host, path| {
        [
            (ACCEPT.as_str(), PAGE),
            ("x-forwarded-proto", scheme),
            ("x-forwarded-host", host),
            ("x-forwarded-uri", path),
        ]
    };
    let wiki = asked("https", "wiki.example.org", "/a?b=c&d=%26+e");
    let answer = server.get("/forward-auth", &wiki).await;
    assert_eq!(
        answer.header(LOCATION),
        "https://sessions.example.org/sign-in?return_to=https%3A%2F%2Fwiki.example.org%2Fa%3Fb%3Dc%26d%3D%2526%2Be"
    );
    let own = asked("https", "sessions.example.org", "/sessions");
    let answer = server.get("/forward-auth", &own).await;
    assert!(
        answer
            .header(LOCATION)
            .ends_with("?return_to=https%3A%2F%2Fsessions.example.org%2Fsessions")
    );

    let without = "https://sessions.example.org/sign-in";
    let answer = server
        .ask_from(SOMEBODY, "GET", "/forward-auth", &wiki)
        .await;
    assert_eq!(answer.header(LOCATION), without);
    for headers in [
        asked("https", "elsewhere.example", "/"),
        asked("http", "wiki.example.org", "/"),
        asked("https", "wiki.example.org:8443", "/"),
        asked("https", "wiki.example.org@elsewhere.example", "/"),
        asked("https", "wiki.example.org", ".elsewhere.example/"),
    ] {
        let answer = server.get("/forward-auth", &headers).await;
        assert_eq!(answer.status, StatusCode::FOUND);
        assert_eq!(answer.header(LOCATION), without, "{headers:?}");
    }
    // Whose word the second one is, nobody can tell.
    let mut twice = wiki.to_vec();
    twice.push(("x-forwarded-host", "wiki.example.org"));
    assert_eq!(
        server.get("/forward-auth", &twice).await.header(LOCATION),
        without
    );
}

#[tokio::test]
async fn an_applications_account_is_told_from_a_built_in_one_and_can_be_kept_out() {
    let server = Server::new().await;
    let application = AccountSource::Application(ApplicationId(7));
    let mallory = server.sign_in(application, "0123", "ada").await;
    let headers = [(COOKIE.as_str(), &*mallory.cookie)];
    for path in BOTH {
        let answer = server.get(path, &headers).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("remote-user"), "7/ada");
        assert_eq!(answer.header("remote-account"), "7/0123");
        let path = format!("{path}?accounts=built-in");
        assert_eq!(
            server.get(&path, &headers).await.status,
            StatusCode::UNAUTHORIZED
        );
        let ada = server.ada().await;
        let answer = server.get(&path, &[(COOKIE.as_str(), &ada.cookie)]).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_mistake_in_the_proxys_settings_lets_nobody_in() {
    let server = Server::new().await;
    let ada = server.ada().await;
    for path in BOTH {
        let path = format!("{path}?accounts=builtin");
        let answer = server.get(&path, &[(COOKIE.as_str(), &ada.cookie)]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn where_the_store_cannot_be_asked_nobody_is_let_in() {
    let server = Server::new().await;
    let unknown = Server::new()
        .await
        .sign_in(AccountSource::BuiltIn, "x", "x")
        .await;
    server.store.set_unavailable(true);
    for path in BOTH {
        let headers = [(COOKIE.as_str(), &*unknown.cookie), (ACCEPT.as_str(), PAGE)];
        let answer = server.get(path, &headers).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}

#[tokio::test]
async fn other_methods_are_refused() {
    let server = Server::new().await;
    for path in BOTH {
        for method in ["POST", "PUT", "DELETE"] {
            let answer = server.ask_from(PROXY, method, path, &[]).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        }
    }
}

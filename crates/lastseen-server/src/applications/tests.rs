//! Applications, through a router as the server has it, over real databases and by a clock that stands still.

mod apart;
mod links;
mod operators;
mod requests;
mod words_of_oauth;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use lastseen::store::memory::MemoryStore;
use lastseen::{
    Account, AccountId, AccountSource, Created, NewSession, Sessions, Settings, Store, Visit,
};
use lastseen_axum::{PublicUrl, SecurityHeaders, SessionsContext, SessionsLayer};
use rstest::rstest;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{ApplicationHomes, Applications, api, forms, oauth};
use crate::accounts::testing::{CountingEntropy, TestClock};
use crate::sign_in::{ReturnHost, ReturnTargets};
use crate::storage::testing::{Kind, TestStorage};

const PUBLIC_URL: &str = "https://account.example";
const CHROME: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                      Chrome/120.0.0.0 Safari/537.36";

/// A server without a listener, over a database that vanishes.
struct Server {
    clock: Arc<TestClock>,
    entropy: Arc<CountingEntropy>,
    database: TestStorage,
    sessions: Sessions,
    applications: Applications,
    router: Router,
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// That it is a problem document with this code.
    fn assert_problem(&self, code: &str) {
        assert_eq!(
            self.headers[CONTENT_TYPE], "application/problem+json",
            "{}",
            self.body
        );
        assert_eq!(self.json()["code"], code);
        assert_eq!(self.json()["status"], self.status.as_u16());
        assert_eq!(self.headers["cache-control"], "no-store");
    }
}

/// An application of the test, with its key.
struct Application<'a> {
    server: &'a Server,
    key: String,
}

impl Server {
    async fn new(kind: Kind) -> Self {
        let database = TestStorage::new(kind).await;
        Self::open(database, Arc::new(TestClock::new()), Arc::default()).await
    }

    /// The same after a kill of the server: nothing is left but the database.
    async fn restarted(self) -> Self {
        let database = self.database.reopened().await;
        Self::open(database, self.clock, self.entropy).await
    }

    async fn open(
        database: TestStorage,
        clock: Arc<TestClock>,
        entropy: Arc<CountingEntropy>,
    ) -> Self {
        let store = Arc::clone(&database.storage.sessions);
        Self::over(store, database, clock, entropy).await
    }

    async fn over(
        store: Arc<dyn Store>,
        database: TestStorage,
        clock: Arc<TestClock>,
        entropy: Arc<CountingEntropy>,
    ) -> Self {
        use lastseen::Clock as _;

        let sessions = Sessions::open(store, Settings::default(), clock.now())
            .await
            .unwrap();
        let applications = Applications::open(
            Arc::clone(&database.storage.applications),
            sessions.clone(),
            clock.clone(),
            entropy.clone(),
        )
        .await
        .unwrap();
        let public_url = PublicUrl::parse(PUBLIC_URL).unwrap();
        let context = SessionsContext::new(sessions.clone(), public_url.clone())
            .with_clock(clock.clone())
            .with_entropy(entropy.clone());
        let targets = ReturnTargets::new(public_url.clone(), ReturnHost::read("shop.example"));
        let homes = ApplicationHomes::new(applications.clone(), targets.clone());
        let router = Router::new()
            .merge(lastseen_axum::api::router())
            .merge(lastseen_axum::pages::router(
                crate::pages::site().homes(Arc::new(homes)),
            ))
            .merge(api::router(applications.clone()))
            .merge(oauth::router(applications.clone()))
            .merge(forms::router(
                applications.clone(),
                crate::pages::site(),
                targets,
            ))
            .fallback(lastseen_axum::problem::not_found)
            .layer(SessionsLayer::new(context))
            .layer(SecurityHeaders::new(&public_url));
        Self {
            clock,
            entropy,
            database,
            sessions,
            applications,
            router,
        }
    }

    async fn application(&self, name: &str) -> Application<'_> {
        let key = self.applications.add(name).await.unwrap().reveal();
        Application { server: self, key }
    }

    /// A session of a built-in account with that id.
    async fn built_in(&self, id: &str) -> Created {
        use lastseen::Clock as _;

        let id = AccountId::new(id).unwrap();
        let account = Arc::new(Account::new(AccountSource::BuiltIn, id, "built-in"));
        let new = NewSession {
            account: &account,
            remembered: false,
            visit: Visit::default(),
            replaces: None,
        };
        let entropy = self.entropy.as_ref();
        self.sessions
            .create(new, self.clock.now(), entropy)
            .await
            .unwrap()
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.into()).unwrap();
        let peer: std::net::SocketAddr = "192.0.2.1:5000".parse().unwrap();
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

    /// Whether a session token is accepted where its owner shows it.
    async fn accepts(&self, token: &str) -> bool {
        let bearer = format!("Bearer {token}");
        let answer = self
            .send("GET", "/api/v1/session", &[("authorization", &bearer)], "")
            .await;
        answer.status == StatusCode::OK
    }
}

impl Application<'_> {
    async fn send(&self, method: &str, path: &str, content_type: &str, body: String) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let mut headers = vec![(AUTHORIZATION.as_str(), bearer.as_str())];
        if !content_type.is_empty() {
            headers.push((CONTENT_TYPE.as_str(), content_type));
        }
        self.server.send(method, path, &headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", String::new()).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, "", String::new()).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, "application/json", body.to_string())
            .await
    }

    async fn post_nothing(&self, path: &str) -> Answer {
        self.send("POST", path, "", String::new()).await
    }

    async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.send("POST", path, "application/x-www-form-urlencoded", body)
            .await
    }

    /// Begins a session and answers with its token and its id.
    async fn begin(&self, account: &str) -> (String, String) {
        let answer = self.post(&sessions_of(account), json!({})).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        let body = answer.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&body["token"]), text(&body["session"]["id"]))
    }

    async fn ids_of(&self, account: &str) -> Vec<String> {
        let answer = self.get(&sessions_of(account)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let body = answer.json();
        let sessions = body["sessions"].as_array().unwrap();
        let id = |session: &Value| session["id"].as_str().unwrap().to_owned();
        sessions.iter().map(id).collect()
    }

    async fn introspect(&self, token: &str) -> Value {
        let answer = self.form("/api/v1/introspect", &[("token", token)]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.json()
    }

    async fn session_of(&self, account: &str, id: &str) -> Value {
        let answer = self.get(&sessions_of(account)).await.json();
        let sessions = answer["sessions"].as_array().unwrap().clone();
        sessions
            .into_iter()
            .find(|session| session["id"] == id)
            .unwrap()
    }
}

/// Where the sessions of an account are.
fn sessions_of(account: &str) -> String {
    let encoded =
        percent_encoding::utf8_percent_encode(account, percent_encoding::NON_ALPHANUMERIC);
    format!("/api/v1/accounts/{encoded}/sessions")
}

/// A store of sessions that a test can take away.
fn memory() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new())
}

//! A service that mounts the page under a path of its own, a clock that a test holds, and one person.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, USER_AGENT};
use http::{HeaderMap, Request, StatusCode};
use lastseen::store::memory::MemoryStore;
use lastseen::{
    Account, AccountId, AccountSource, ClientDescription, Clock, Entropy, NewSession, Sessions,
    Settings, Timestamp, Visit,
};
use lastseen_axum::pages::{self, Site};
use lastseen_axum::{PublicUrl, SecurityHeaders, SessionsContext, SessionsLayer};
use tower::ServiceExt as _;

pub(crate) const PAGE: &str = "/account/sessions";
pub(crate) const TERMINATE: &str = "/account/sessions/terminate";
pub(crate) const ENDED: &str = "/login?return_to=%2Faccount%2Fsessions&ended=1";
pub(crate) const CHROME: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";
pub(crate) const FIREFOX: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0";

/// 2026-11-24T09:00:00Z.
const START: i64 = 1_795_510_800_000;

struct TestClock(AtomicI64);

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
        let mut state = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        for byte in bytes {
            state = state
                .wrapping_mul(0x5851_F42D_4C95_7F2D)
                .wrapping_add(0x1405_7B7E_F767_814F);
            *byte = state.to_be_bytes()[0];
        }
    }
}

pub(crate) struct World {
    clock: Arc<TestClock>,
    context: SessionsContext,
    app: Router,
}

/// A device that somebody is signed in on.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) id: String,
    token: String,
    user_agent: &'static str,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) html: String,
}

impl Answer {
    /// Where a redirect leads.
    #[track_caller]
    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.html);
        self.headers[LOCATION].to_str().unwrap()
    }

    /// What a person reads: the page without its markup, white space made single.
    pub(crate) fn text(&self) -> String {
        plain(&self.html)
    }

    /// The ids of the sessions in the order of the page.
    pub(crate) fn ids(&self) -> Vec<&str> {
        let rows = self.html.split(r#"id="s-"#).skip(1);
        rows.map(|row| row.split('"').next().unwrap()).collect()
    }

    /// The markup of one row.
    #[track_caller]
    pub(crate) fn row(&self, device: &Device) -> &str {
        let (_, row) = self
            .html
            .split_once(&format!(r#"id="s-{}""#, device.id))
            .unwrap();
        row.split_once("</tr>").unwrap().0
    }

    /// What a person reads in one row.
    #[track_caller]
    pub(crate) fn row_text(&self, device: &Device) -> String {
        plain(self.row(device).split_once('>').unwrap().1)
    }
}

fn plain(html: &str) -> String {
    let mut text = String::new();
    for (number, part) in html.split('<').enumerate() {
        let (tag, after) = if number == 0 {
            ("", part)
        } else {
            part.split_once('>').unwrap_or((part, ""))
        };
        // Marks of one word within a sentence do not part it.
        if !matches!(tag, "b" | "/b" | "wbr") {
            text.push(' ');
        }
        text.push_str(after);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl World {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(TestClock(AtomicI64::new(START)));
        let store = Arc::new(MemoryStore::new());
        let sessions = Sessions::open(store, Settings::default(), clock.now())
            .await
            .unwrap();
        let public_url = PublicUrl::parse("https://account.example").unwrap();
        let headers = SecurityHeaders::new(&public_url);
        let context = SessionsContext::new(sessions, public_url)
            .with_clock(clock.clone())
            .with_entropy(Arc::new(Counting::default()));
        let site = Site::new(PAGE, "/login")
            .sign_out_path("/logout")
            .product_name("Example");
        let app = pages::router(site)
            .layer(SessionsLayer::new(context.clone()))
            .layer(headers);
        Self {
            clock,
            context,
            app,
        }
    }

    pub(crate) fn pass(&self, duration: Duration) {
        let milliseconds = i64::try_from(duration.as_millis()).unwrap();
        self.clock.0.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// Signs ada in; the device is remembered.
    pub(crate) async fn sign_in(&self, user_agent: &'static str, address: &str) -> Device {
        self.sign_in_as("ada", true, user_agent, address).await
    }

    pub(crate) async fn sign_in_as(
        &self,
        name: &str,
        remembered: bool,
        user_agent: &'static str,
        address: &str,
    ) -> Device {
        // Later than any before it, so that the order is certain.
        self.pass(Duration::from_millis(1));
        let account = Account::new(AccountSource::BuiltIn, AccountId::new(name).unwrap(), name);
        let visit = Visit {
            ip_address: address.parse().ok(),
            client: ClientDescription::of_user_agent(user_agent.as_bytes()),
        };
        let new = NewSession {
            account: &Arc::new(account),
            remembered,
            visit,
            replaces: None,
        };
        let sessions = self.context.sessions();
        let created = sessions
            .create(new, self.clock.now(), self.context.entropy())
            .await
            .unwrap();
        Device {
            id: created.session.id.to_string(),
            token: created.token.reveal(),
            user_agent,
        }
    }

    pub(crate) async fn get(&self, device: &Device, path: &str) -> Answer {
        self.send(
            self.request(device, "GET", path)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    /// Sends a form the way the page does.
    pub(crate) async fn post(&self, device: &Device, form: &str) -> Answer {
        let request = self
            .request(device, "POST", TERMINATE)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .body(Body::from(form.to_owned()));
        self.send(request.unwrap()).await
    }

    pub(crate) fn request(
        &self,
        device: &Device,
        method: &str,
        path: &str,
    ) -> http::request::Builder {
        let cookie = format!("{}={}", self.context.cookie().name(), device.token);
        Request::builder()
            .method(method)
            .uri(path)
            .header(COOKIE, cookie)
            .header(USER_AGENT, device.user_agent)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            html: String::from_utf8(body).unwrap(),
        }
    }
}

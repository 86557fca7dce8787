//! What one service knows: its sessions, its address, its cookie, whom it believes, what time it is.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::header::{HeaderName, HeaderValue, SET_COOKIE};
use http::request::Parts;
use http::{Extensions, HeaderMap, Method};
use lastseen::{
    Clock, Entropy, Session, SessionId, SessionToken, SessionView, Sessions, Timestamp,
    Unavailable, Verdict, Visit,
};

use crate::caller::{Credential, client_description, peer_address};
use crate::client_ip::{TrustedProxies, client_ip};
use crate::clock::SystemClock;
use crate::cookie::{Carried, Keep, SessionCookie};
use crate::cookie_domain::CookieDomain;
use crate::entropy::SystemEntropy;
use crate::origin::{self, ForeignOrigin};
use crate::problem::Problem;
use crate::public_url::PublicUrl;

/// `Clear-Site-Data` (W3C): what a browser is told to forget.
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// What it kept of our pages, and what their scripts stored. Not `"cookies"`: that would reach every host of the same
/// site, neighbours included; our own cookie is cleared by name.
const KEPT_DATA: HeaderValue = HeaderValue::from_static("\"cache\", \"storage\"");

/// What one service knows, shared by its layer and all its handlers. Cheap to clone.
///
/// A handler gets it as an extractor, under [`SessionsLayer`](crate::SessionsLayer); the layer is made of it.
///
/// ```
/// # use std::sync::Arc;
/// # use lastseen::{Clock, Sessions, Settings, store::memory::MemoryStore};
/// use lastseen_axum::{PublicUrl, SessionsContext, SystemClock, TrustedProxies};
///
/// # async fn build() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = Arc::new(SystemClock::new());
/// let sessions = Sessions::open(Arc::new(MemoryStore::new()), Settings::default(), clock.now()).await?;
/// let context = SessionsContext::new(sessions, PublicUrl::parse("https://account.example")?)
///     .with_trusted_proxies(["10.0.0.0/8".parse()?].into_iter().collect())
///     .with_clock(clock);
/// assert_eq!(context.cookie().name(), "__Host-lastseen");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionsContext {
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Shared {
    sessions: Sessions,
    public_url: PublicUrl,
    cookie: SessionCookie,
    trusted_proxies: TrustedProxies,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl std::fmt::Debug for SessionsContext {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SessionsContext")
            .field("public_url", &self.shared.public_url)
            .field("trusted_proxies", &self.shared.trusted_proxies)
            .finish_non_exhaustive()
    }
}

impl SessionsContext {
    /// Sessions for a service that browsers reach under this URL: no proxy trusted, the system's clock and randomness.
    #[must_use]
    pub fn new(sessions: Sessions, public_url: PublicUrl) -> Self {
        let shared = Shared {
            sessions,
            cookie: SessionCookie::of(&public_url),
            public_url,
            trusted_proxies: TrustedProxies::none(),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        change(Arc::make_mut(&mut self.shared));
        self
    }

    /// The same, with proxies whose word on the visitor's address is taken.
    #[must_use]
    pub fn with_trusted_proxies(self, trusted_proxies: TrustedProxies) -> Self {
        self.with(|shared| shared.trusted_proxies = trusted_proxies)
    }

    /// The same, with a cookie that all hosts of a domain share: see [`crate::cookie_domain`] for what that weakens.
    #[must_use]
    pub fn with_cookie_domain(self, domain: &CookieDomain) -> Self {
        self.with(|shared| shared.cookie = SessionCookie::shared_in(domain))
    }

    /// The same, by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        self.with(|shared| shared.clock = clock)
    }

    /// The same, with another source of randomness.
    #[must_use]
    pub fn with_entropy(self, entropy: Arc<dyn Entropy>) -> Self {
        self.with(|shared| shared.entropy = entropy)
    }

    /// The sessions: every verb there is.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.shared.sessions
    }

    /// The URL under which browsers reach the service.
    #[must_use]
    pub fn public_url(&self) -> &PublicUrl {
        &self.shared.public_url
    }

    /// The session cookie.
    #[must_use]
    pub fn cookie(&self) -> &SessionCookie {
        &self.shared.cookie
    }

    /// Where secrets come from.
    #[must_use]
    pub fn entropy(&self) -> &dyn Entropy {
        &*self.shared.entropy
    }

    /// The time that sessions are judged by: never earlier than any that was seen before, also over a restart.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.sessions.observe(self.shared.clock.now())
    }

    /// The visitor's address, by the peer and what trusted proxies say.
    #[must_use]
    pub fn client_ip(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
        self.client_ip_of(headers, peer_address(extensions))
    }

    fn client_ip_of(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
        client_ip(peer, headers, &self.shared.trusted_proxies)
    }

    /// Whether a request comes from a trusted proxy, whose word counts on what the visitor asked for.
    #[must_use]
    pub fn is_from_trusted_proxy(&self, extensions: &Extensions) -> bool {
        peer_address(extensions).is_some_and(|peer| self.shared.trusted_proxies.contains(peer))
    }

    /// What a request says of the visit: from where, and by what.
    #[must_use]
    pub fn visit<'a>(&self, headers: &'a HeaderMap, extensions: &Extensions) -> Visit<'a> {
        self.visit_of(headers, peer_address(extensions))
    }

    fn visit_of<'a>(&self, headers: &'a HeaderMap, peer: Option<IpAddr>) -> Visit<'a> {
        Visit {
            ip_address: self.client_ip_of(headers, peer),
            client: client_description(headers),
        }
    }

    /// Checks the origin of an unsafe request that would set the cookie, such as a sign-in, and logs a refusal. Where the
    /// cookie came along, the layer has checked already. `route` is what the log calls the request; it holds no secret.
    ///
    /// # Errors
    /// [`ForeignOrigin`] where the request comes from another origin.
    pub fn check_origin(
        &self,
        method: &Method,
        route: &str,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<(), ForeignOrigin> {
        origin::check(headers, self.public_url()).inspect_err(|finding| {
            let ip_address = self
                .client_ip(headers, extensions)
                .map(tracing::field::display);
            tracing::warn!(%method, route, ip_address, "refused: {finding}");
        })
    }

    /// The `Set-Cookie` for a session that was just created, or that was given a new token.
    ///
    /// A remembered device keeps it for what is left of the session's absolute lifetime, another one while it runs.
    #[must_use]
    pub fn set_cookie(
        &self,
        token: &SessionToken,
        session: &Session,
        now: Timestamp,
    ) -> HeaderValue {
        let keep = if session.remembered {
            Keep::For(session.absolute_deadline.duration_since(now))
        } else {
            Keep::WhileBrowserRuns
        };
        self.cookie().set(token, keep)
    }

    /// Makes a response sign the browser out: clears the cookie and what else the browser kept.
    pub fn sign_out(&self, response_headers: &mut HeaderMap) {
        response_headers.append(SET_COOKIE, self.cookie().clear());
        response_headers.insert(CLEAR_SITE_DATA, KEPT_DATA);
    }

    async fn current_session(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Option<CurrentSession>, Unavailable> {
        let read = |session: SessionView<'_>, _| session.to_session();
        let accepted = self.accept(headers, peer_address(extensions), read).await?;
        Ok(accepted.map(|accepted| {
            note_seen(extensions, accepted.id);
            CurrentSession {
                session: accepted.answer,
                now: accepted.now,
                owns_cookie: accepted.owns_cookie,
                context: self.clone(),
            }
        }))
    }

    /// Checks the token of a request, where it carries one, and lets `read` look at the session where it lies, at the
    /// instant of the request: see [`Sessions::validate_with`].
    pub(crate) async fn accept<Answer>(
        &self,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
        read: impl Fn(SessionView<'_>, Timestamp) -> Answer,
    ) -> Result<Option<Accepted<Answer>>, Unavailable> {
        let Some(asked) = self.asked(headers, peer) else {
            return Ok(None);
        };
        let read = asked.reading(read);
        let verdict = (self.sessions()).validate_with(asked.token, &asked.visit, asked.now, read);
        Ok(match verdict.await? {
            Verdict::Active(answer) => Some(asked.accepted(answer)),
            Verdict::Refused(_) => None,
        })
    }

    /// The part of [`SessionsContext::accept`] that never waits. `None` is no refusal, but leaves the answer to it.
    pub(crate) fn accept_from_memory<Answer>(
        &self,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
        read: impl Fn(SessionView<'_>, Timestamp) -> Answer,
    ) -> Option<Accepted<Answer>> {
        let asked = self.asked(headers, peer)?;
        let read = asked.reading(read);
        (self.sessions())
            .validate_from_memory(asked.token, &asked.visit, asked.now, read)
            .map(|answer| asked.accepted(answer))
    }

    /// What a request asks with its token, where it carries one.
    fn asked<'a>(&self, headers: &'a HeaderMap, peer: Option<IpAddr>) -> Option<Asked<'a>> {
        let (token, owns_cookie) = match Credential::of(headers, self.cookie()) {
            Credential::Nothing | Credential::Unclear => return None,
            Credential::Cookie(token) => (token, true),
            Credential::Bearer(token) => (token, self.may_clear_beside(token, headers)),
        };
        Some(Asked {
            token,
            owns_cookie,
            visit: self.visit_of(headers, peer),
            now: self.now(),
        })
    }

    /// Whether a response to this `Bearer` may clear the cookie: not one that holds another session, and not one of a
    /// page elsewhere that made the request.
    fn may_clear_beside(&self, token: &[u8], headers: &HeaderMap) -> bool {
        match self.cookie().find(headers) {
            Carried::Nothing => origin::check(headers, self.public_url()).is_ok(),
            Carried::One(value) => value == token,
            Carried::Unclear => false,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for SessionsContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        in_extensions(parts).cloned()
    }
}

/// A request that carries a token.
struct Asked<'a> {
    token: &'a [u8],
    owns_cookie: bool,
    visit: Visit<'a>,
    /// The instant of this request.
    now: Timestamp,
}

impl Asked<'_> {
    /// `read`, at this instant, and the id of the session that it reads.
    fn reading<Answer>(
        &self,
        read: impl Fn(SessionView<'_>, Timestamp) -> Answer,
    ) -> impl Fn(SessionView<'_>) -> (SessionId, Answer) {
        let now = self.now;
        move |session| (session.id, read(session, now))
    }

    fn accepted<Answer>(&self, (id, answer): (SessionId, Answer)) -> Accepted<Answer> {
        Accepted {
            id,
            answer,
            now: self.now,
            owns_cookie: self.owns_cookie,
        }
    }
}

/// What came of the token of a request: it was accepted.
pub(crate) struct Accepted<Answer> {
    /// The session.
    pub(crate) id: SessionId,
    /// What was read of the session.
    pub(crate) answer: Answer,
    /// The instant of this request.
    pub(crate) now: Timestamp,
    owns_cookie: bool,
}

/// A place for the id of the session that a request is made under, for whoever logs requests.
///
/// A layer further out puts one into the request's extensions, keeps a clone, and reads it when the answer is there. Only
/// a session that was accepted is noted.
#[derive(Clone, Debug, Default)]
pub struct SeenSession(Arc<OnceLock<SessionId>>);

impl SeenSession {
    /// The session, where a handler asked for it and it was accepted.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        self.0.get().copied()
    }

    fn note(&self, id: SessionId) {
        // A request may ask more than once; its session stays the same.
        _ = self.0.set(id);
    }
}

/// Notes the session of a request that was accepted, where somebody wants to know.
pub(crate) fn note_seen(extensions: &Extensions, id: SessionId) {
    if let Some(seen) = extensions.get::<SeenSession>() {
        seen.note(id);
    }
}

pub(crate) fn in_extensions(parts: &Parts) -> Result<&SessionsContext, Problem> {
    parts
        .extensions
        .get::<SessionsContext>()
        .ok_or_else(|| Problem::unavailable("SessionsLayer is not around this handler"))
}

/// The session that a request is made under: its token was checked, and this use is recorded.
///
/// Nothing is read and no session is touched until a handler asks for it. As an extractor it refuses with the problem
/// `not_signed_in`; `Option<CurrentSession>` is for handlers that serve everybody; either is `unavailable` where the store
/// cannot be asked. Each time it is asked for is a check of its own, and the latest counts.
///
/// ```
/// use axum::{Router, routing::get};
/// use lastseen_axum::CurrentSession;
///
/// async fn members(current: CurrentSession) -> String {
///     format!("hello {}", current.session.account.name)
/// }
///
/// async fn everybody(current: Option<CurrentSession>) -> &'static str {
///     if current.is_some() { "welcome back" } else { "welcome" }
/// }
///
/// let app: Router = Router::new().route("/members", get(members)).route("/", get(everybody));
/// # let _ = app;
/// ```
#[derive(Clone, Debug)]
pub struct CurrentSession {
    /// The session.
    pub session: Session,
    /// The instant of this request.
    pub now: Timestamp,
    owns_cookie: bool,
    context: SessionsContext,
}

impl CurrentSession {
    /// What the service knows.
    #[must_use]
    pub fn context(&self) -> &SessionsContext {
        &self.context
    }

    /// After this session has ended: makes the response sign the browser out.
    ///
    /// Does nothing where the session came as a `Bearer` and the cookie holds another one, or where a page elsewhere made
    /// the request.
    pub fn sign_out(&self, response_headers: &mut HeaderMap) {
        if self.owns_cookie {
            self.context.sign_out(response_headers);
        }
    }
}

impl<S: Sync> FromRequestParts<S> for CurrentSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let current = <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state);
        current.await?.ok_or_else(Problem::not_signed_in)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for CurrentSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Problem> {
        let context = in_extensions(parts)?;
        Ok(context
            .current_session(&parts.headers, &parts.extensions)
            .await?)
    }
}

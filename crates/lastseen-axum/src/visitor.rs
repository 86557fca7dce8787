//! Whoever comes to sign in: for services that check passwords, or whatever they check, themselves.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponseParts, ResponseParts};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use lastseen::{Account, Created, NewSession, Visit};

use crate::caller::client_description;
use crate::context::SessionsContext;
use crate::cookie::Carried;
use crate::problem::Problem;

/// A visitor who may be signed in: the request comes from our own pages, or from no browser.
///
/// As an extractor it refuses a request from another origin with the problem `forbidden`, because a sign-in
/// sets the cookie (login CSRF). It has to come before whatever reads the body.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::response::{IntoResponse, Redirect};
/// use lastseen::{Account, AccountId, AccountSource};
/// use lastseen_axum::{ApiForm, Problem, Visitor};
///
/// #[derive(serde::Deserialize)]
/// struct SignIn { name: String, password: String }
///
/// async fn sign_in(visitor: Visitor, ApiForm(form): ApiForm<SignIn>) -> Result<impl IntoResponse, Problem> {
///     // Here stands whatever the service knows of passwords.
///     if form.password != "correct horse battery staple" {
///         return Err(Problem::invalid_credentials());
///     }
///     let id = AccountId::new(&form.name).map_err(|_| Problem::invalid_credentials())?;
///     let account = Arc::new(Account::new(AccountSource::BuiltIn, id, &form.name));
///     Ok((visitor.sign_in(&account, false).await?, Redirect::to("/")))
/// }
/// # let _ = axum::Router::<()>::new().route("/sign-in", axum::routing::post(sign_in));
/// ```
#[derive(Clone, Debug)]
pub struct Visitor {
    context: SessionsContext,
    ip_address: Option<IpAddr>,
    headers: HeaderMap,
}

impl Visitor {
    /// Begins a session of `account` on the visitor's device. The session whose cookie came along ends.
    ///
    /// The answer has to be part of the response: it sets the cookie.
    ///
    /// # Errors
    /// `unavailable` where the store cannot be asked.
    pub async fn sign_in(
        &self,
        account: &Arc<Account>,
        remembered: bool,
    ) -> Result<SignedIn, Problem> {
        let context = &self.context;
        // Two different cookies of our name are no sign-in, so there is none to end.
        let replaces = match context.cookie().find(&self.headers) {
            Carried::One(token) => Some(token),
            Carried::Nothing | Carried::Unclear => None,
        };
        let visit = Visit {
            ip_address: self.ip_address,
            client: client_description(&self.headers),
        };
        let new = NewSession {
            account,
            remembered,
            visit,
            replaces,
        };
        let now = context.now();
        let created = context
            .sessions()
            .create(new, now, context.entropy())
            .await?;
        let cookie = context.set_cookie(&created.token, &created.session, now);
        Ok(SignedIn { created, cookie })
    }

    /// What the service knows.
    #[must_use]
    pub fn context(&self) -> &SessionsContext {
        &self.context
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let context = SessionsContext::from_request_parts(parts, state).await?;
        let (headers, extensions) = (&parts.headers, &parts.extensions);
        let route = extensions
            .get::<axum::extract::MatchedPath>()
            .map_or("sign-in", axum::extract::MatchedPath::as_str);
        context.check_origin(&parts.method, route, headers, extensions)?;
        let ip_address = context.client_ip(headers, extensions);
        let headers = headers.clone();
        Ok(Self {
            context,
            ip_address,
            headers,
        })
    }
}

/// Somebody who was just signed in. As a part of a response it sets the cookie.
#[derive(Debug)]
pub struct SignedIn {
    /// The session, and its token for a program that is no browser.
    pub created: Created,
    cookie: HeaderValue,
}

impl IntoResponseParts for SignedIn {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Infallible> {
        let headers = response.headers_mut();
        headers.append(SET_COOKIE, self.cookie);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

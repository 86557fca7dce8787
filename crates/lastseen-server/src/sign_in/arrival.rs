//! Who comes to sign in: what is read of a request before its body.

use axum::extract::{FromRequestParts, MatchedPath};
use http::HeaderMap;
use http::header::SET_COOKIE;
use http::request::Parts;
use lastseen_axum::{Carried, Problem, SessionsContext, origin};
use zeroize::Zeroizing;

use super::known_browser::BrowserCookie;
use super::service::{SignedIn, Visitor};

/// A visitor whose request would set the cookie, hence comes from our own pages or from no browser.
pub(super) struct Arrival {
    pub(super) context: SessionsContext,
    pub(super) visitor: Visitor,
    /// Whether a browser sent it: then it gets its token by the cookie alone.
    pub(super) from_browser: bool,
}

impl<S: Sync> FromRequestParts<S> for Arrival {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let context = SessionsContext::from_request_parts(parts, state).await?;
        let headers = &parts.headers;
        // The route, not the address as it was sent: that of the set-up holds a secret, and this is logged.
        let route = parts
            .extensions
            .get::<MatchedPath>()
            .map_or("", MatchedPath::as_str);
        context.check_origin(&parts.method, route, headers, &parts.extensions)?;
        // Two different cookies of our name are no sign-in, so there is none to end.
        let token = match context.cookie().find(headers) {
            Carried::One(token) => Some(Zeroizing::new(token.to_vec())),
            Carried::Nothing | Carried::Unclear => None,
        };
        let visitor = Visitor {
            ip_address: context.client_ip(headers, &parts.extensions),
            mark: BrowserCookie::of(context.public_url()).find(headers),
            token,
            headers: headers.clone(),
        };
        let from_browser = origin::is_from_browser(headers);
        Ok(Self {
            context,
            visitor,
            from_browser,
        })
    }
}

/// Sets the cookies of somebody who has just signed in.
pub(super) fn set_cookies(
    context: &SessionsContext,
    signed_in: &SignedIn,
    response_headers: &mut HeaderMap,
) {
    let SignedIn {
        token,
        session,
        mark,
        now,
    } = signed_in;
    response_headers.append(SET_COOKIE, context.set_cookie(token, session, *now));
    let cookie = BrowserCookie::of(context.public_url());
    if let Some(value) = mark.as_ref().and_then(|mark| cookie.set(mark)) {
        response_headers.append(SET_COOKIE, value);
    }
}

//! From a request to who is asking: which credential counts, and what the visit looks like.
//!
//! The rule: where an `Authorization` header of the scheme `Bearer` is sent, it counts and the cookie does not; without
//! one the cookie counts. Another scheme (a proxy's `Basic`) says nothing about sessions. More than one `Authorization`
//! header, or a `Bearer` without a token, is no sign-in, and is not made up for by the cookie.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};
use lastseen::ClientDescription;

use crate::cookie::{Carried, SessionCookie};

/// The credential of a request that counts. None of it has been checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// None was sent.
    Nothing,
    /// What the session cookie holds.
    Cookie(&'a [u8]),
    /// What stands behind `Bearer`.
    Bearer(&'a [u8]),
    /// Something was sent that cannot be a sign-in: two different cookies, two headers, a scheme without a token.
    Unclear,
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Cookie(_) => "Cookie(…)",
            Self::Bearer(_) => "Bearer(…)",
            Self::Unclear => "Unclear",
        })
    }
}

impl<'a> Credential<'a> {
    /// The credential of a request that counts.
    #[must_use]
    pub fn of(headers: &'a HeaderMap, cookie: &SessionCookie) -> Self {
        let mut authorizations = headers.get_all(AUTHORIZATION).iter();
        if let Some(authorization) = authorizations.next() {
            if authorizations.next().is_some() {
                return Self::Unclear;
            }
            match bearer(authorization.as_bytes()) {
                Authorization::Bearer(token) => return Self::Bearer(token),
                Authorization::Malformed => return Self::Unclear,
                Authorization::OtherScheme => {}
            }
        }
        match cookie.find(headers) {
            Carried::Nothing => Self::Nothing,
            Carried::One(value) => Self::Cookie(value),
            Carried::Unclear => Self::Unclear,
        }
    }
}

enum Authorization<'a> {
    Bearer(&'a [u8]),
    OtherScheme,
    Malformed,
}

/// RFC 6750, 2.1 with RFC 9110, 11.1: the scheme in any case, at least one space, the token.
fn bearer(value: &[u8]) -> Authorization<'_> {
    const SCHEME: &[u8] = b"bearer";
    let end = value
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\t'))
        .unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Authorization::OtherScheme;
    }
    let token = rest.trim_ascii();
    if token.is_empty() || !rest.starts_with(b" ") {
        return Authorization::Malformed;
    }
    Authorization::Bearer(token)
}

/// What a client says of itself in its headers. Of a header that is sent twice the first counts.
///
/// One walk over the headers: looking up seven long names costs more than checking a token.
#[must_use]
pub fn client_description(headers: &HeaderMap) -> ClientDescription<'_> {
    let mut description = ClientDescription::default();
    for (name, value) in headers {
        let name = name.as_str();
        let hints = &mut description.hints;
        let place = match name.strip_prefix("sec-ch-ua") {
            None if name == "user-agent" => &mut description.user_agent,
            Some("") => &mut hints.brands,
            Some("-full-version-list") => &mut hints.full_version_list,
            Some("-platform") => &mut hints.platform,
            Some("-platform-version") => &mut hints.platform_version,
            Some("-mobile") => &mut hints.mobile,
            Some("-model") => &mut hints.model,
            _ => continue,
        };
        place.get_or_insert(value.as_bytes());
    }
    description
}

/// The address at the other end of the connection, as axum's `ConnectInfo<SocketAddr>` tells it.
#[must_use]
pub fn peer_address(extensions: &Extensions) -> Option<IpAddr> {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(address)| address.ip())
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::PublicUrl;

    fn credential_of(lines: &[(HeaderName, &str)], check: impl FnOnce(Credential<'_>)) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let cookie = SessionCookie::of(&PublicUrl::parse("http://127.0.0.1:8080").unwrap());
        check(Credential::of(&headers, &cookie));
    }

    #[test]
    fn the_cookie_counts_where_no_header_is_sent() {
        credential_of(&[], |found| assert_eq!(found, Credential::Nothing));
        credential_of(&[(COOKIE, "lastseen=c")], |found| {
            assert_eq!(found, Credential::Cookie(b"c"));
        });
        credential_of(&[(COOKIE, "lastseen=c; lastseen=d")], |found| {
            assert_eq!(found, Credential::Unclear);
        });
    }

    #[test]
    fn where_both_are_sent_the_header_counts_and_the_cookie_does_not() {
        for value in ["Bearer b", "bearer b", "BEARER   b"] {
            credential_of(&[(AUTHORIZATION, value), (COOKIE, "lastseen=c")], |found| {
                assert_eq!(found, Credential::Bearer(b"b"), "{value}");
            });
        }
    }

    #[test]
    fn two_headers_or_a_scheme_without_a_token_are_no_sign_in_whatever_the_cookie_says() {
        for values in [
            &["Bearer"] as &[&str],
            &["Bearer "],
            &["Bearer\tb"],
            &["bearer   "],
            &["Bearer b", "Bearer b"],
            &["Bearer b", "Basic x"],
            &["Basic x", "Basic x"],
        ] {
            let mut lines = vec![(COOKIE, "lastseen=c")];
            lines.extend(values.iter().map(|value| (AUTHORIZATION, *value)));
            credential_of(&lines, |found| {
                assert_eq!(found, Credential::Unclear, "{values:?}");
            });
        }
    }

    #[test]
    fn another_scheme_says_nothing_about_sessions() {
        for value in ["Basic YTpi", "Digest x", "Bearerx y", "", "Bearer-like b"] {
            credential_of(&[(AUTHORIZATION, value), (COOKIE, "lastseen=c")], |found| {
                assert_eq!(found, Credential::Cookie(b"c"), "{value}");
            });
        }
    }

    #[test]
    fn a_credential_cannot_be_printed() {
        assert_eq!(format!("{:?}", Credential::Bearer(b"secret")), "Bearer(…)");
        assert_eq!(format!("{:?}", Credential::Cookie(b"secret")), "Cookie(…)");
    }

    #[test]
    fn the_client_is_described_by_its_user_agent_and_its_hints() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("user-agent", "agent"),
            ("sec-ch-ua", "brands"),
            ("sec-ch-ua-full-version-list", "full"),
            ("sec-ch-ua-platform", "platform"),
            ("sec-ch-ua-platform-version", "version"),
            ("sec-ch-ua-mobile", "?0"),
            ("sec-ch-ua-model", "model"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.append("user-agent", HeaderValue::from_static("another"));
        headers.append("sec-ch-ua-full", HeaderValue::from_static("unknown"));
        let description = client_description(&headers);
        assert_eq!(description.user_agent, Some(b"agent".as_slice()));
        assert_eq!(description.hints.brands, Some(b"brands".as_slice()));
        assert_eq!(
            description.hints.full_version_list,
            Some(b"full".as_slice())
        );
        assert_eq!(description.hints.platform, Some(b"platform".as_slice()));
        assert_eq!(
            description.hints.platform_version,
            Some(b"version".as_slice())
        );
        assert_eq!(description.hints.mobile, Some(b"?0".as_slice()));
        assert_eq!(description.hints.model, Some(b"model".as_slice()));
        assert_eq!(
            client_description(&HeaderMap::new()),
            ClientDescription::default()
        );
    }
}

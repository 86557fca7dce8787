//! Where a request comes from: our own pages, somebody else's page, or no browser at all.
//!
//! The rule, in one sentence: an unsafe request that carries our cookie, or would set one, must come from the same
//! origin. `Sec-Fetch-Site` decides where it is sent (Fetch Metadata); where it is not, `Origin` does (RFC 6454); where
//! neither is sent it is no browser, and it passes. A `Bearer` token beside the cookie changes nothing: the cookie was
//! sent, so the rule holds.
//!
//! [`SessionsLayer`](crate::SessionsLayer) applies it to every request that carries the cookie. What would *set* one
//! (a sign-in) calls [`check`] itself.

use http::header::ORIGIN;
use http::{HeaderMap, HeaderName, Method};

use crate::public_url::PublicUrl;

/// `Sec-Fetch-Site`, which a page cannot forge.
pub const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The finding that a request comes from another origin. Turns into the problem `forbidden`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignOrigin;

impl std::fmt::Display for ForeignOrigin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the request comes from another origin")
    }
}

impl std::error::Error for ForeignOrigin {}

impl From<ForeignOrigin> for crate::Problem {
    fn from(finding: ForeignOrigin) -> Self {
        Self::forbidden().because(finding)
    }
}

/// Whether a method is one that changes nothing (RFC 9110, 9.2.1).
#[must_use]
pub fn is_safe(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    )
}

/// Whether a request says that a browser made it, by carrying `Sec-Fetch-Site` or `Origin`.
#[must_use]
pub fn is_from_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_FETCH_SITE) || headers.contains_key(ORIGIN)
}

/// Checks that a request comes from the same origin, or from no browser.
///
/// A header that is sent twice says nothing clear, and is refused.
///
/// # Errors
/// [`ForeignOrigin`] where it comes from somewhere else: another site, a sibling host, another port, or `null`.
pub fn check(headers: &HeaderMap, public_url: &PublicUrl) -> Result<(), ForeignOrigin> {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    if let Some(site) = sites.next() {
        let is_ours = matches!(site.as_bytes(), b"same-origin" | b"none");
        return if is_ours && sites.next().is_none() {
            Ok(())
        } else {
            Err(ForeignOrigin)
        };
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => Ok(()),
        (Some(origin), None) if origin.as_bytes() == public_url.origin().as_bytes() => Ok(()),
        _ => Err(ForeignOrigin),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn ours() -> PublicUrl {
        PublicUrl::parse("https://account.example").unwrap()
    }

    fn check_with(site: Option<&str>, origin: Option<&str>) -> Result<(), ForeignOrigin> {
        let mut headers = HeaderMap::new();
        if let Some(site) = site {
            headers.insert(SEC_FETCH_SITE, HeaderValue::from_str(site).unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        check(&headers, &ours())
    }

    #[test]
    fn our_own_pages_and_typed_addresses_pass() {
        assert_eq!(check_with(Some("same-origin"), None), Ok(()));
        assert_eq!(check_with(Some("none"), None), Ok(()));
        assert_eq!(check_with(None, Some("https://account.example")), Ok(()));
    }

    #[test]
    fn no_browser_at_all_passes() {
        assert_eq!(check_with(None, None), Ok(()));
    }

    #[test]
    fn sec_fetch_site_decides_wherever_it_is_sent() {
        for site in [
            "cross-site",
            "same-site",
            "",
            "Same-Origin",
            "same-origin, none",
            "x",
        ] {
            assert_eq!(
                check_with(Some(site), Some("https://account.example")),
                Err(ForeignOrigin),
                "{site}"
            );
        }
    }

    #[test]
    fn null_a_sibling_host_another_scheme_and_another_port_are_not_our_origin() {
        for origin in [
            "null",
            "",
            "http://account.example",
            "https://account.example:8443",
            "https://account.example/",
            "https://example",
            "https://other.account.example",
            "https://account.example.evil",
            "https://ACCOUNT.example",
            "https://account.example https://account.example",
        ] {
            assert_eq!(
                check_with(None, Some(origin)),
                Err(ForeignOrigin),
                "{origin}"
            );
        }
    }

    #[test]
    fn a_header_sent_twice_is_refused() {
        let mut headers = HeaderMap::new();
        headers.append(SEC_FETCH_SITE, HeaderValue::from_static("same-origin"));
        headers.append(SEC_FETCH_SITE, HeaderValue::from_static("same-origin"));
        assert_eq!(check(&headers, &ours()), Err(ForeignOrigin));
        let mut headers = HeaderMap::new();
        headers.append(ORIGIN, HeaderValue::from_static("https://account.example"));
        headers.append(ORIGIN, HeaderValue::from_static("https://account.example"));
        assert_eq!(check(&headers, &ours()), Err(ForeignOrigin));
    }

    #[test]
    fn get_head_options_and_trace_are_safe_and_nothing_else_is() {
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            assert!(is_safe(&method.parse().unwrap()));
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "CONNECT", "get", "QUERY"] {
            assert!(!is_safe(&method.parse().unwrap()), "{method}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_is_exactly_what_the_rule_names(
            site in proptest::option::of("(same-origin|none|same-site|cross-site|[ -~]{0,16})"),
            origin in proptest::option::of("(https://account\\.example|null|https?://[a-z.]{1,24}(:[0-9]{1,5})?)"),
        ) {
            let expected = match (site.as_deref(), origin.as_deref()) {
                (Some(site), _) => site == "same-origin" || site == "none",
                (None, Some(origin)) => origin == "https://account.example",
                (None, None) => true,
            };
            prop_assert_eq!(check_with(site.as_deref(), origin.as_deref()).is_ok(), expected);
        }
    }
}

//! The domain whose hosts share the session cookie, for a service that signs people in for its neighbours.
//!
//! What this weakens: every host of the domain is sent the token of every visitor, over every page that he opens there,
//! and may plant a cookie of our name. Whoever holds one of these hosts holds the sessions. Without a domain the cookie
//! is bound to one host, by `__Host-`, and neither is possible.

use std::fmt;

use url::Host;

use crate::public_url::PublicUrl;

/// A domain around the public URL's host: it and all hosts below it share the session cookie.
///
/// ```
/// use lastseen_axum::{CookieDomain, PublicUrl};
///
/// let url = PublicUrl::parse("https://sessions.example.org")?;
/// assert_eq!(CookieDomain::around(&url, "Example.org").unwrap().as_str(), "example.org");
/// assert!(CookieDomain::around(&url, "another.example").is_err());
/// # Ok::<(), lastseen_axum::PublicUrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieDomain(Box<str>);

/// Why a text is no domain to share the cookie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieDomainError {
    /// It is no name of a domain with at least two labels.
    NotADomain,
    /// The public URL's host is neither this domain nor below it: a browser would drop the cookie.
    Elsewhere,
    /// The public URL is plain http, where no browser takes a `__Secure-` cookie.
    PlainHttp,
}

impl fmt::Display for CookieDomainError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotADomain => {
                "it is not a domain such as example.org, without a dot at either end"
            }
            Self::Elsewhere => "the host of the public URL is not within it",
            Self::PlainHttp => "the public URL must be https",
        })
    }
}

impl std::error::Error for CookieDomainError {}

impl CookieDomain {
    /// Reads a domain, by the rules of the WHATWG URL Standard.
    ///
    /// A public suffix such as `co.uk` is not told from a domain that people own; browsers are, and drop the cookie.
    ///
    /// # Errors
    /// [`CookieDomainError`] says why the cookie of a service under this URL cannot be shared there.
    pub fn around(public_url: &PublicUrl, text: &str) -> Result<Self, CookieDomainError> {
        let Ok(Host::Domain(domain)) = Host::parse(text) else {
            return Err(CookieDomainError::NotADomain);
        };
        let labels = domain.split('.');
        // One label is a whole registry, and an empty one stands beside a dot too many.
        if labels.clone().count() < 2 || labels.clone().any(|label| !is_label(label)) {
            return Err(CookieDomainError::NotADomain);
        }
        if !public_url.is_https() {
            return Err(CookieDomainError::PlainHttp);
        }
        let is_around = public_url.host_name().is_some_and(|host| {
            host.strip_suffix(&*domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        if is_around {
            Ok(Self(domain.into()))
        } else {
            Err(CookieDomainError::Elsewhere)
        }
    }

    /// The domain in lower case and ASCII, as it stands in the cookie.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Nothing that could end an attribute of a cookie.
fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

impl fmt::Display for CookieDomain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(url: &str, domain: &str) -> Result<String, CookieDomainError> {
        CookieDomain::around(&PublicUrl::parse(url).unwrap(), domain)
            .map(|domain| domain.to_string())
    }

    #[test]
    fn the_hosts_own_name_and_those_above_it_are_around_it() {
        for (url, domain, expected) in [
            ("https://sessions.example.org", "example.org", "example.org"),
            ("https://example.org:8443", "example.org", "example.org"),
            ("https://a.b.example.org", "b.EXAMPLE.org", "b.example.org"),
            (
                "https://a.bücher.example",
                "bücher.example",
                "xn--bcher-kva.example",
            ),
        ] {
            assert_eq!(around(url, domain).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn a_domain_that_the_host_is_not_within_is_refused() {
        for domain in [
            "another.example",
            "a.sessions.example.org",
            "ssessions.example.org",
            "ample.org",
            "example.org.org",
        ] {
            assert_eq!(
                around("https://sessions.example.org", domain),
                Err(CookieDomainError::Elsewhere),
                "{domain}"
            );
        }
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        for domain in [
            "",
            "org",
            "localhost",
            ".example.org",
            "example.org.",
            "example..org",
            "*.example.org",
            "127.0.0.1",
            "[::1]",
            "https://example.org",
            "example.org/",
            "example.org:443",
            "example.org; Path=/x",
            "a b.example.org",
        ] {
            assert_eq!(
                around("https://sessions.example.org", domain),
                Err(CookieDomainError::NotADomain),
                "{domain}"
            );
        }
        assert_eq!(
            around("https://127.0.0.1", "0.0.1"),
            Err(CookieDomainError::NotADomain)
        );
    }

    #[test]
    fn on_plain_http_no_cookie_is_shared() {
        assert_eq!(
            around("http://sessions.example.org", "example.org"),
            Err(CookieDomainError::PlainHttp)
        );
    }
}

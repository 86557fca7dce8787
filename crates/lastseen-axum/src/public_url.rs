//! The address under which browsers reach the service: it decides the cookie's name and whose writes are our own.

use std::fmt;

use url::{Host, Url};

/// The origin under which browsers reach the service: scheme, host and port, and nothing else.
///
/// ```
/// use lastseen_axum::PublicUrl;
///
/// let url = PublicUrl::parse("https://Account.Example:443/")?;
/// assert_eq!(url.origin(), "https://account.example");
/// assert!(url.is_https());
/// # Ok::<(), lastseen_axum::PublicUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicUrl {
    url: Url,
    origin: Box<str>,
}

/// Why a text is no public URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicUrlError {
    /// It is no absolute URL.
    NotAUrl,
    /// Its scheme is neither `http` nor `https`.
    Scheme,
    /// It carries more than scheme, host and port.
    MoreThanOrigin,
}

impl fmt::Display for PublicUrlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotAUrl => "it is not an absolute URL such as https://account.example",
            Self::Scheme => "it must begin with https:// or http://",
            Self::MoreThanOrigin => {
                "it may hold scheme, host and port only: no user, path, query or fragment"
            }
        })
    }
}

impl std::error::Error for PublicUrlError {}

impl PublicUrl {
    /// Reads a public URL, by the rules of the WHATWG URL Standard, so that it compares equal to what browsers send.
    ///
    /// # Errors
    /// [`PublicUrlError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, PublicUrlError> {
        let url = Url::parse(text).map_err(|_| PublicUrlError::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(PublicUrlError::Scheme);
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(PublicUrlError::MoreThanOrigin);
        }
        let origin = url.origin().ascii_serialization().into_boxed_str();
        Ok(Self { url, origin })
    }

    /// The origin as a browser writes it in `Origin`: lower case, without a default port, without a slash at the end.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether browsers come over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether the host is this machine itself: `localhost`, a name under it, 127.0.0.0/8 or ::1.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        }
    }

    /// The host, where it is a name and no address.
    pub(crate) fn host_name(&self) -> Option<&str> {
        self.url.domain()
    }

    /// The absolute address of a path of this server. `path` begins with a slash.
    #[must_use]
    pub fn address_of(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.origin)
    }
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl std::str::FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_reads_as_a_browser_writes_it() {
        for (text, origin) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.0.0.1:80/", "http://127.0.0.1"),
            ("HTTPS://Ada.Example:443", "https://ada.example"),
            ("https://ada.example:8443", "https://ada.example:8443"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(PublicUrl::parse(text).unwrap().origin(), origin);
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused() {
        for text in ["", "ada.example", "/sessions", "127.0.0.1:8080"] {
            assert!(PublicUrl::parse(text).is_err(), "{text}");
        }
        for text in [
            "ftp://ada.example",
            "file:///etc/passwd",
            "data:text/plain,x",
        ] {
            assert_eq!(PublicUrl::parse(text), Err(PublicUrlError::Scheme));
        }
        for text in [
            "https://ada@ada.example",
            "https://:secret@ada.example",
            "https://ada.example/path",
            "https://ada.example/?query",
            "https://ada.example/#fragment",
        ] {
            assert_eq!(PublicUrl::parse(text), Err(PublicUrlError::MoreThanOrigin));
        }
    }

    #[test]
    fn loopback_is_this_machine_and_nothing_that_looks_like_it() {
        for text in [
            "http://localhost:1",
            "http://a.localhost",
            "http://127.9.9.9",
            "http://[::1]",
        ] {
            assert!(PublicUrl::parse(text).unwrap().is_loopback(), "{text}");
        }
        for text in [
            "http://localhost.example",
            "http://notlocalhost",
            "http://192.0.2.1",
            "http://[2001:db8::1]",
        ] {
            assert!(!PublicUrl::parse(text).unwrap().is_loopback(), "{text}");
        }
    }
}

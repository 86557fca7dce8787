//! A host that `--return-host` names: a place outside this server to lead a visitor back to.

use url::{Host, Url};

/// A host, with its port if it is not the usual one, that a visitor may be led back to after sign-in.
///
/// It is a name or an IPv4 address, in lower case and ASCII. An IPv6 address has no form in a browser's
/// Content-Security-Policy, so no sign-in form could lead there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReturnHost {
    host: Box<str>,
    /// `None` is the usual port of whichever scheme.
    port: Option<u16>,
}

impl ReturnHost {
    /// Reads `HOST` or `HOST:PORT`, by the rules of the WHATWG URL Standard. `None` where it is anything else, a
    /// wildcard for instance.
    pub fn read(text: &str) -> Option<Self> {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(read_port(port)?)),
            None => (text, None),
        };
        let host = match Host::parse(host).ok()? {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(_) => return None,
        };
        let is_plain = host.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        });
        is_plain.then(|| Self {
            host: host.into(),
            port,
        })
    }

    /// Whether an address is on this host and port.
    pub fn is_of(&self, url: &Url) -> bool {
        let same_port = match self.port {
            Some(port) => url.port_or_known_default() == Some(port),
            // The parser leaves a usual port out.
            None => url.port().is_none(),
        };
        same_port && url.host_str() == Some(&self.host)
    }

    /// The origin of this host under a scheme, as browsers write it.
    pub fn origin(&self, scheme: &str) -> String {
        let address = format!("{scheme}://{self}");
        // Host and port were taken from an address, so they make one again.
        Url::parse(&address).map_or(address, |url| url.origin().ascii_serialization())
    }
}

impl std::fmt::Display for ReturnHost {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.host)?;
        match self.port {
            Some(port) => write!(formatter, ":{port}"),
            None => Ok(()),
        }
    }
}

fn read_port(text: &str) -> Option<u16> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        .then(|| text.parse().ok())?
        .filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_as_browsers_read_it_and_written_as_it_is_read() {
        for (text, written) in [
            ("wiki.example.org", "wiki.example.org"),
            ("WIKI.Example.org:8443", "wiki.example.org:8443"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("localhost:3000", "localhost:3000"),
            ("my_app", "my_app"),
            ("127.0.0.1:3000", "127.0.0.1:3000"),
            ("0x7f.1", "127.0.0.1"),
        ] {
            let host = ReturnHost::read(text).unwrap();
            assert_eq!(host.to_string(), written);
            assert_eq!(ReturnHost::read(written), Some(host));
        }
    }

    #[test]
    fn what_is_more_or_less_than_a_host_is_none() {
        for text in [
            "",
            ":443",
            "wiki.example.org:",
            "wiki.example.org:0",
            "wiki.example.org:65536",
            "wiki.example.org:+1",
            "wiki.example.org:443:443",
            "https://wiki.example.org",
            "wiki.example.org/",
            "wiki.example.org/path",
            "ada@wiki.example.org",
            "*.example.org",
            "*",
            ".example.org",
            "wiki.example.org.",
            "wiki..example.org",
            "wiki example.org",
            " wiki.example.org",
            "wiki.example.org\n",
            "wiki.example.org;",
            "'self'",
            "[::1]",
            "::1",
            "1.2.3.4.5",
        ] {
            assert_eq!(ReturnHost::read(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_host_without_a_port_is_the_usual_port_alone() {
        let is_of = |host: &str, url: &str| {
            ReturnHost::read(host)
                .unwrap()
                .is_of(&Url::parse(url).unwrap())
        };
        assert!(is_of("a.example", "https://a.example/x"));
        assert!(is_of("a.example", "https://A.example:443/x"));
        assert!(is_of("a.example:443", "https://a.example/x"));
        assert!(is_of("a.example:8443", "https://a.example:8443/x"));
        assert!(!is_of("a.example", "https://a.example:8443/x"));
        assert!(!is_of("a.example:8443", "https://a.example/x"));
        assert!(!is_of("a.example:443", "http://a.example/x"));
        assert!(!is_of("a.example", "https://a.example./x"));
        assert!(!is_of("a.example", "https://b.a.example/x"));
    }

    #[test]
    fn an_origin_leaves_a_usual_port_out() {
        let origin = |host: &str| ReturnHost::read(host).unwrap().origin("https");
        assert_eq!(origin("a.example"), "https://a.example");
        assert_eq!(origin("a.example:443"), "https://a.example");
        assert_eq!(origin("a.example:8443"), "https://a.example:8443");
    }
}

//! Where a visitor goes after sign-in: a path of this server, or a page of a host that was named.
//!
//! Whoever can send people to the sign-in page with a way back of his choice can show them a copy of it afterwards, so a
//! full address counts only if its origin is the public URL's or a named host's, compared after parsing, and what is sent
//! is put together from what was compared.

use std::sync::Arc;

use http::HeaderValue;
use lastseen_axum::{PublicUrl, SecurityHeaders};
use url::Url;

use super::return_host::ReturnHost;
use super::return_path::ReturnPath;

/// The longest address to return to, in bytes. In a query it may grow to three times as much, and the head of a request
/// has 16 KiB.
const LONGEST: usize = 2_048;

/// The places that a visitor may be led back to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ReturnTargets {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    public_url: PublicUrl,
    hosts: Box<[ReturnHost]>,
    form_policy: Option<HeaderValue>,
}

/// A place that a visitor may be led back to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReturnTarget {
    /// A path of this server.
    Here(ReturnPath),
    /// A whole address, on this server or on a named host. It is ASCII that fits a header.
    There(Box<str>),
}

impl ReturnTarget {
    /// The path or the address.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Here(path) => path.as_str(),
            Self::There(address) => address,
        }
    }
}

impl Default for ReturnTarget {
    fn default() -> Self {
        Self::Here(ReturnPath::default())
    }
}

impl ReturnTargets {
    /// The paths of a server under `public_url`, and all of `hosts`: over https, and over http too where the public URL
    /// is http.
    pub fn new(public_url: PublicUrl, hosts: impl IntoIterator<Item = ReturnHost>) -> Self {
        let hosts: Box<[ReturnHost]> = hosts.into_iter().collect();
        let schemes: &[&str] = if public_url.is_https() {
            &["https"]
        } else {
            &["https", "http"]
        };
        let origins: Vec<String> = hosts
            .iter()
            .flat_map(|host| schemes.iter().map(|scheme| host.origin(scheme)))
            .collect();
        let form_policy = if origins.is_empty() {
            None
        } else {
            SecurityHeaders::with_forms_leading_to(origins.iter().map(String::as_str))
        };
        Self {
            shared: Arc::new(Shared {
                public_url,
                hosts,
                form_policy,
            }),
        }
    }

    /// The Content-Security-Policy of a page whose form leads to one of these places; `None` where the policy of all
    /// pages will do.
    pub fn form_policy(&self) -> Option<&HeaderValue> {
        self.shared.form_policy.as_ref()
    }

    /// Reads what came with a request; `None` where it could lead anywhere else.
    pub fn read(&self, text: &str) -> Option<ReturnTarget> {
        if text.starts_with('/') {
            return ReturnPath::read(text).map(ReturnTarget::Here);
        }
        self.read_address(text).map(ReturnTarget::There)
    }

    /// The same for what a proxy says that a visitor asked for: scheme, host with port, and path with query.
    pub fn read_parts(&self, scheme: &str, host: &str, path: &str) -> Option<ReturnTarget> {
        // What is put together must come apart at the same places.
        let is_web = matches!(scheme, "https" | "http");
        if !is_web || host.contains(['/', '?', '#']) || !path.starts_with('/') {
            return None;
        }
        self.read_address(&format!("{scheme}://{host}{path}"))
            .map(ReturnTarget::There)
    }

    fn read_address(&self, text: &str) -> Option<Box<str>> {
        // What the parser would mend, it is not given: a backslash, a line break, a slash too many or too few.
        let is_plain = text.len() <= LONGEST
            && !text.contains('\\')
            && !text.chars().any(char::is_control)
            && !text.ends_with(char::is_whitespace);
        let (scheme, rest) = text.split_once("://")?;
        let is_web = ["https", "http"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if !is_plain || !is_web || authority.is_empty() || authority.contains('@') {
            return None;
        }
        let mut url = Url::parse(text).ok()?;
        let public_url = &self.shared.public_url;
        let is_own = url.origin().ascii_serialization() == public_url.origin();
        let is_named = || {
            (url.scheme() == "https" || !public_url.is_https())
                && self.shared.hosts.iter().any(|host| host.is_of(&url))
        };
        let is_accepted = if is_own {
            !ReturnPath::is_no_way_back(url.path())
        } else {
            is_named()
        };
        if !is_accepted {
            return None;
        }
        url.set_fragment(None);
        Some(String::from(url).into_boxed_str())
    }
}

#[cfg(test)]
mod tests;

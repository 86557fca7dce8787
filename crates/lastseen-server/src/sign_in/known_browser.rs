//! The mark of a browser that has signed in before: a long-lived cookie that opens nothing.
//!
//! It tells the owner of an account from strangers when somebody tries passwords: a browser that has signed
//! in to an account before is not slowed down by what others do ([`super::throttle`]). It is a secret with
//! 128 random bits of which only the hash is kept, and it is another one after every sign-in, so a mark that
//! was planted in somebody's browser is worth nothing once that browser has signed in.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use lastseen::Entropy;
use lastseen::token::{Secret, SecretKind};
use lastseen_axum::PublicUrl;
use zeroize::Zeroizing;

/// How many browsers an account knows. Beyond it, one that never came back is forgotten, or else the one
/// that was used least recently; 500 are more than a person has, and some 50 kB.
pub const MOST_BROWSERS: u32 = 500;
/// How long a browser keeps the mark: the longest that RFC 6265bis lets a cookie live.
const LIFE_SECONDS: u64 = 400 * 24 * 60 * 60;

/// The kind of secret that a mark is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BrowserSecret;

impl SecretKind for BrowserSecret {
    const PREFIX: &'static str = "lsb_";
}

/// The mark of a browser.
pub type BrowserMark = Secret<BrowserSecret>;

/// A new mark.
pub fn new_mark(entropy: &dyn Entropy) -> BrowserMark {
    let mut name = [0; 16];
    entropy.fill(&mut name);
    BrowserMark::generate(name, entropy)
}

/// The cookie that carries the mark: its name and attributes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BrowserCookie {
    is_https: bool,
}

impl BrowserCookie {
    /// The cookie of a server that browsers reach under `public_url`.
    pub fn of(public_url: &PublicUrl) -> Self {
        Self {
            is_https: public_url.is_https(),
        }
    }

    /// The cookie's name.
    pub const fn name(self) -> &'static str {
        if self.is_https {
            "__Host-lastseen-browser"
        } else {
            "lastseen-browser"
        }
    }

    /// The mark that came with a request; `None` where there is none, or more than one.
    pub fn find(self, headers: &HeaderMap) -> Option<BrowserMark> {
        let mut found: Option<&[u8]> = None;
        let lines = headers.get_all(COOKIE).iter();
        for pair in lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')) {
            let pair = pair.trim_ascii();
            let Some(value) = pair.strip_prefix(self.name().as_bytes()) else {
                continue;
            };
            let Some(value) = value.strip_prefix(b"=") else {
                continue;
            };
            if found.is_some_and(|other| other != value) {
                return None;
            }
            found = Some(value);
        }
        BrowserMark::parse(found?)
    }

    /// The `Set-Cookie` that hands a mark to a browser.
    ///
    /// `SameSite=Strict`: only our own sign-in form has a use for it.
    pub fn set(self, mark: &BrowserMark) -> Option<HeaderValue> {
        let secure = if self.is_https { "; Secure" } else { "" };
        let text = Zeroizing::new(format!(
            "{}={}; Max-Age={LIFE_SECONDS}; Path=/; HttpOnly; SameSite=Strict{secure}",
            self.name(),
            Zeroizing::new(mark.reveal()).as_str(),
        ));
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::testing::CountingEntropy;

    fn cookie(public_url: &str) -> BrowserCookie {
        BrowserCookie::of(&PublicUrl::parse(public_url).unwrap())
    }

    fn carrying(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    #[test]
    fn a_mark_that_was_set_is_found_again() {
        let mark = new_mark(&CountingEntropy::default());
        for (public_url, name) in [
            ("https://account.example", "__Host-lastseen-browser"),
            ("http://127.0.0.1:8080", "lastseen-browser"),
        ] {
            let cookie = cookie(public_url);
            assert_eq!(cookie.name(), name);
            let set = cookie.set(&mark).unwrap();
            assert!(set.is_sensitive());
            let text = set.to_str().unwrap();
            assert_eq!(text.contains("; Secure"), public_url.starts_with("https"));
            assert!(
                text.contains("; HttpOnly")
                    && text.contains("; Path=/")
                    && !text.contains("Domain")
            );
            let pair = text.split(';').next().unwrap();
            let found = cookie
                .find(&carrying(&[&format!("a=b; {pair}"), "c=d"]))
                .unwrap();
            assert_eq!(found.hash(), mark.hash());
        }
    }

    #[test]
    fn two_different_marks_or_a_mangled_one_are_none() {
        let entropy = CountingEntropy::default();
        let (one, other) = (new_mark(&entropy).reveal(), new_mark(&entropy).reveal());
        let cookie = cookie("http://127.0.0.1:8080");
        assert!(
            cookie
                .find(&carrying(&[&format!(
                    "lastseen-browser={one}; lastseen-browser={one}"
                )]))
                .is_some()
        );
        assert!(
            cookie
                .find(&carrying(&[&format!(
                    "lastseen-browser={one}; lastseen-browser={other}"
                )]))
                .is_none()
        );
        assert!(cookie.find(&carrying(&["lastseen-browser=x"])).is_none());
        assert!(
            cookie
                .find(&carrying(&[&format!(
                    "lastseen={one}; lastseen-browserx={one}"
                )]))
                .is_none()
        );
        assert!(cookie.find(&HeaderMap::new()).is_none());
    }
}

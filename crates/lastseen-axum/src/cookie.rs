//! The only place that reads the session cookie, and the only one that sets or clears it.
//!
//! Reading follows RFC 6265bis byte by byte: pairs end at `;`, space and tab around name and value do not count, nothing
//! is decoded or unquoted, and a pair without a name is no cookie. Cookie libraries decode values or trim by Unicode's
//! rules, which makes one cookie out of two that a browser keeps apart; hence none of them here.

use std::fmt;
use std::time::Duration;

use http::header::{COOKIE, HeaderMap, HeaderValue};
use lastseen::SessionToken;

use crate::cookie_domain::CookieDomain;
use crate::public_url::PublicUrl;

/// The longest life of a cookie in browsers (RFC 6265bis, 5.5): 400 days.
const LONGEST_LIFE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// How many pairs of a request are looked at. Browsers keep some 180 for a site; a request with more than this is from
/// no browser, and carries no sign-in.
const MOST_PAIRS: usize = 512;

/// The session cookie of one service: its name and attributes, which follow from the public URL and from who shares it.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header::COOKIE};
/// use lastseen_axum::{Carried, PublicUrl, SessionCookie};
///
/// let cookie = SessionCookie::of(&PublicUrl::parse("https://account.example")?);
/// assert_eq!(cookie.name(), "__Host-lastseen");
///
/// let mut headers = HeaderMap::new();
/// headers.insert(COOKIE, HeaderValue::from_static("theme=dark; __Host-lastseen=secret"));
/// assert_eq!(cookie.find(&headers), Carried::One(b"secret"));
/// # Ok::<(), lastseen_axum::PublicUrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCookie {
    name: &'static str,
    /// What follows the value, lifetime aside: the same for setting and clearing, else a browser keeps what it has.
    attributes: Box<str>,
}

/// What a request carries under the session cookie's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Carried<'a> {
    /// No cookie of this name.
    Nothing,
    /// One value, sent once or several times. It has not been checked in any way.
    One(&'a [u8]),
    /// Different values, or more cookies than are looked at: no sign-in, since order means nothing.
    Unclear,
}

impl fmt::Debug for Carried<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Nothing => "Nothing",
            Self::One(_) => "One(…)",
            Self::Unclear => "Unclear",
        })
    }
}

/// How long a browser keeps the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// As long as the browser runs.
    WhileBrowserRuns,
    /// For this long: what is left of the session's absolute lifetime. Cut to whole seconds and to 400 days.
    For(Duration),
}

impl SessionCookie {
    /// The cookie of a service that browsers reach under this URL: `__Host-lastseen` over https, else `lastseen`.
    #[must_use]
    pub fn of(public_url: &PublicUrl) -> Self {
        if public_url.is_https() {
            Self {
                name: "__Host-lastseen",
                attributes: "; Path=/; HttpOnly; SameSite=Lax; Secure".into(),
            }
        } else {
            Self {
                name: "lastseen",
                attributes: "; Path=/; HttpOnly; SameSite=Lax".into(),
            }
        }
    }

    /// The cookie that all hosts of a domain share: `__Secure-lastseen`.
    #[must_use]
    pub fn shared_in(domain: &CookieDomain) -> Self {
        Self {
            name: "__Secure-lastseen",
            attributes: format!("; Domain={domain}; Path=/; HttpOnly; SameSite=Lax; Secure").into(),
        }
    }

    /// The cookie's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What a request carries under the cookie's name, over all its `Cookie` headers.
    #[must_use]
    pub fn find<'a>(&self, headers: &'a HeaderMap) -> Carried<'a> {
        let mut found = Carried::Nothing;
        let mut pairs_left = MOST_PAIRS;
        for line in headers.get_all(COOKIE) {
            let line = line.as_bytes();
            let ends = memchr::memchr_iter(b';', line).chain([line.len()]);
            let mut start = 0;
            for end in ends {
                let pair = &line[start..end];
                start = end + 1;
                if pairs_left == 0 {
                    return Carried::Unclear;
                }
                pairs_left -= 1;
                let Some(value) = value_under(self.name.as_bytes(), pair) else {
                    continue;
                };
                match found {
                    Carried::Nothing => found = Carried::One(value),
                    Carried::One(other) if other == value => {}
                    Carried::One(_) | Carried::Unclear => return Carried::Unclear,
                }
            }
        }
        found
    }

    /// The `Set-Cookie` that hands a token to a browser.
    #[must_use]
    pub fn set(&self, token: &SessionToken, keep: Keep) -> HeaderValue {
        use std::fmt::Write as _;

        let mut text = zeroize::Zeroizing::new(String::with_capacity(160));
        text.push_str(self.name);
        text.push('=');
        text.push_str(&zeroize::Zeroizing::new(token.reveal()));
        if let Keep::For(life) = keep {
            // Writing to a string cannot fail.
            let _ = write!(text, "; Max-Age={}", life.min(LONGEST_LIFE).as_secs());
        }
        text.push_str(&self.attributes);
        header_value(&text)
    }

    /// The `Set-Cookie` that makes a browser forget the token: same name, domain, path and attributes.
    #[must_use]
    pub fn clear(&self) -> HeaderValue {
        let Self { name, attributes } = self;
        header_value(&format!(
            "{name}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT{attributes}"
        ))
    }
}

fn header_value(text: &str) -> HeaderValue {
    // Name and attributes are constants and the token is base64url, all of them visible ASCII. Were it otherwise, no
    // cookie would be the safe outcome.
    let mut value = HeaderValue::from_str(text).unwrap_or(const { HeaderValue::from_static("") });
    value.set_sensitive(true);
    value
}

/// The value of a pair, if its name is exactly this one.
fn value_under<'a>(name: &[u8], pair: &'a [u8]) -> Option<&'a [u8]> {
    let pair = trim_start(pair);
    // Almost every pair ends here.
    let after_name = trim_start(pair.strip_prefix(name)?);
    Some(trim_end(trim_start(after_name.strip_prefix(b"=")?)))
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use lastseen::Entropy;
    use proptest::prelude::*;

    use super::*;

    fn over_https() -> SessionCookie {
        SessionCookie::of(&PublicUrl::parse("https://account.example").unwrap())
    }

    fn over_http() -> SessionCookie {
        SessionCookie::of(&PublicUrl::parse("http://127.0.0.1:8080").unwrap())
    }

    fn shared() -> SessionCookie {
        let url = PublicUrl::parse("https://account.example.org").unwrap();
        SessionCookie::shared_in(&CookieDomain::around(&url, "example.org").unwrap())
    }

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        headers
    }

    struct Fixed;

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn the_cookie_is_host_bound_secure_http_only_and_lax() {
        let token = SessionToken::generate([1; 16], &Fixed);
        let text = token.reveal();
        assert_eq!(
            over_https()
                .set(&token, Keep::WhileBrowserRuns)
                .to_str()
                .unwrap(),
            format!("__Host-lastseen={text}; Path=/; HttpOnly; SameSite=Lax; Secure")
        );
        assert_eq!(
            over_http()
                .set(&token, Keep::WhileBrowserRuns)
                .to_str()
                .unwrap(),
            format!("lastseen={text}; Path=/; HttpOnly; SameSite=Lax")
        );
    }

    #[test]
    fn a_remembered_device_keeps_it_for_what_is_left_rounded_down_and_400_days_at_most() {
        let token = SessionToken::generate([1; 16], &Fixed);
        for (life, seconds) in [
            (Duration::ZERO, 0),
            (Duration::from_millis(1_999), 1),
            (Duration::from_secs(2_592_000), 2_592_000),
            (Duration::MAX, 34_560_000),
        ] {
            let value = over_https().set(&token, Keep::For(life));
            let expected = format!("; Max-Age={seconds}; ");
            assert!(value.to_str().unwrap().contains(&expected), "{expected}");
        }
    }

    #[test]
    fn clearing_repeats_name_path_and_attributes() {
        assert_eq!(
            over_https().clear(),
            "__Host-lastseen=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            over_http().clear(),
            "lastseen=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn a_shared_cookie_names_its_domain_when_it_is_set_and_when_it_is_cleared() {
        let token = SessionToken::generate([1; 16], &Fixed);
        let text = token.reveal();
        assert_eq!(
            shared().set(&token, Keep::WhileBrowserRuns),
            format!(
                "__Secure-lastseen={text}; Domain=example.org; Path=/; HttpOnly; SameSite=Lax; Secure"
            )
            .as_str()
        );
        assert_eq!(
            shared().clear(),
            "__Secure-lastseen=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Domain=example.org; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
    }

    #[test]
    fn a_shared_cookie_is_known_by_its_own_name_and_two_of_it_are_no_sign_in() {
        assert_eq!(
            shared().find(&headers(&[b"__Host-lastseen=x; lastseen=y"])),
            Carried::Nothing
        );
        assert_eq!(
            shared().find(&headers(&[b"__Secure-lastseen=x"])),
            Carried::One(b"x")
        );
        assert_eq!(
            shared().find(&headers(&[b"__Secure-lastseen=x; __Secure-lastseen=y"])),
            Carried::Unclear
        );
    }

    #[test]
    fn a_header_that_sets_the_cookie_cannot_be_printed() {
        let token = SessionToken::generate([1; 16], &Fixed);
        let value = over_https().set(&token, Keep::WhileBrowserRuns);
        assert!(!format!("{value:?}").contains(&token.reveal()));
        assert_eq!(format!("{:?}", Carried::One(b"secret")), "One(…)");
    }

    #[test]
    fn it_is_found_among_others_and_over_several_headers() {
        for lines in [
            &[b"lastseen=x".as_slice()] as &[&[u8]],
            &[b"a=1; lastseen=x; b=2"],
            &[b"a=1", b"lastseen=x"],
            &[b"a=1;lastseen=x;"],
            &[b";; \t lastseen \t = \t x \t "],
            &[b"a=\"; lastseen=x; b=\""],
            &[b"\xff=\xff; lastseen=x"],
        ] {
            assert_eq!(
                over_http().find(&headers(lines)),
                Carried::One(b"x"),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn names_are_compared_byte_by_byte() {
        for line in [
            b"Lastseen=x".as_slice(),
            b"LASTSEEN=x",
            b"lastseen2=x",
            b"xlastseen=x",
            b"last%73een=x",
            b"\"lastseen\"=x",
            b"__Host-lastseen=x",
            b"\xa0lastseen=x",
            b"\xc2\xa0lastseen=x",
            b"\xe2\x80\x83lastseen=x",
        ] {
            assert_eq!(
                over_http().find(&headers(&[line])),
                Carried::Nothing,
                "{line:?}"
            );
        }
        for line in [
            b"__host-lastseen=x".as_slice(),
            b"lastseen=x",
            b"__Secure-lastseen=x",
        ] {
            assert_eq!(
                over_https().find(&headers(&[line])),
                Carried::Nothing,
                "{line:?}"
            );
        }
    }

    #[test]
    fn pairs_without_a_name_or_without_a_sign_are_no_cookies() {
        for line in [
            b"lastseen".as_slice(),
            b"=lastseen=x",
            b"=x",
            b"",
            b";",
            b"a=lastseen=x",
        ] {
            assert_eq!(
                over_http().find(&headers(&[line])),
                Carried::Nothing,
                "{line:?}"
            );
        }
    }

    #[test]
    fn values_are_taken_as_they_are() {
        for value in [
            b"\"x\"".as_slice(),
            b"%78",
            b"x=y",
            b"",
            b"x y",
            b"x,y",
            b"\xff",
        ] {
            let line = [b"lastseen=", value].concat();
            assert_eq!(
                over_http().find(&headers(&[&line])),
                Carried::One(value),
                "{value:?}"
            );
        }
    }

    #[test]
    fn two_of_our_name_with_different_values_are_no_sign_in_and_two_equal_ones_are_one() {
        assert_eq!(
            over_http().find(&headers(&[b"lastseen=x; lastseen=y"])),
            Carried::Unclear
        );
        assert_eq!(
            over_http().find(&headers(&[b"lastseen=x", b"lastseen=y"])),
            Carried::Unclear
        );
        assert_eq!(
            over_http().find(&headers(&[b"lastseen=x; lastseen="])),
            Carried::Unclear
        );
        assert_eq!(
            over_http().find(&headers(&[b"lastseen=x; lastseen=x"])),
            Carried::One(b"x")
        );
    }

    #[test]
    fn a_request_with_more_cookies_than_any_browser_sends_carries_no_sign_in() {
        let mut line = b"a=1; ".repeat(MOST_PAIRS - 1);
        line.extend_from_slice(b"lastseen=x");
        assert_eq!(over_http().find(&headers(&[&line])), Carried::One(b"x"));
        line.extend_from_slice(b"; a=1");
        assert_eq!(over_http().find(&headers(&[&line])), Carried::Unclear);
    }

    proptest! {
        #[test]
        fn what_was_set_is_found_again_among_any_other_cookies(
            random in any::<[u8; 16]>(),
            before in "([a-km-z]{1,8}=[!-:<-~]{0,12}; ){0,5}",
            after in "(; [a-km-z]{1,8}=[!-:<-~]{0,12}){0,5}",
        ) {
            let token = SessionToken::generate(random, &Fixed);
            let set = over_https().set(&token, Keep::WhileBrowserRuns);
            let pair = set.to_str().unwrap().split("; ").next().unwrap();
            let line = format!("{before}{pair}{after}");
            let headers = headers(&[line.as_bytes()]);
            let text = token.reveal();
            prop_assert_eq!(over_https().find(&headers), Carried::One(text.as_bytes()));
        }

        #[test]
        fn two_different_values_are_unclear_in_any_order(
            first in "[!-:<-~]{0,12}",
            second in "[!-:<-~]{0,12}",
            between in "(; [a-k]{1,4}=x){0,3}",
        ) {
            let line = format!("lastseen={first}{between}; lastseen={second}");
            let headers = headers(&[line.as_bytes()]);
            let found = over_http().find(&headers);
            if first == second {
                prop_assert_eq!(found, Carried::One(first.as_bytes()));
            } else {
                prop_assert_eq!(found, Carried::Unclear);
            }
        }

        #[test]
        fn garbage_never_panics(line in proptest::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff, Just(9)], 0..300)) {
            let _ = over_http().find(&headers(&[&line]));
        }
    }
}

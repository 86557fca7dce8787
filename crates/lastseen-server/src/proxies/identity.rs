//! Who a visitor is, as headers for the service behind the proxy.
//!
//! Names may hold any Unicode and a header may not, so what is not visible ASCII is percent-encoded (as UTF-8), and the
//! percent sign itself with it: two names never read alike, and decoding once gives the name. An application chooses the
//! ids and names of its accounts, also such as a built-in account has; hence its number and a slash before them, and no
//! slash unencoded anywhere else.

use http::{HeaderMap, HeaderName, HeaderValue};
use lastseen::{AccountSource, ApplicationId, Session};
use lastseen_axum::Problem;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// The name of the account.
pub(super) const REMOTE_USER: HeaderName = HeaderName::from_static("remote-user");

/// The id of the account, which outlives a change of name.
pub(super) const REMOTE_ACCOUNT: HeaderName = HeaderName::from_static("remote-account");

/// The id of the session.
pub(super) const REMOTE_SESSION: HeaderName = HeaderName::from_static("remote-session");

/// What is encoded besides what is not ASCII: control characters, the space, which a header may lose at its ends, and
/// what the encoding itself is written with.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'/');

/// Adds the headers that say whose session it is.
///
/// # Errors
/// `unavailable` where one of them cannot be written. Then nobody is let in: without its header a visitor's own could
/// count.
pub(super) fn add(session: &Session, headers: &mut HeaderMap) -> Result<(), Problem> {
    let account = &session.account;
    let source = account.key.source;
    for (name, value) in [
        (REMOTE_USER, named(source, &account.name)),
        (REMOTE_ACCOUNT, named(source, account.key.id.as_str())),
        (REMOTE_SESSION, session.id.to_string()),
    ] {
        headers.insert(name, value_of(&value)?);
    }
    Ok(())
}

fn named(source: AccountSource, text: &str) -> String {
    let encoded = utf8_percent_encode(text, ENCODED);
    match source {
        AccountSource::BuiltIn => encoded.to_string(),
        AccountSource::Application(ApplicationId(number)) => format!("{number}/{encoded}"),
    }
}

fn value_of(text: &str) -> Result<HeaderValue, Problem> {
    match HeaderValue::from_str(text) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(Problem::unavailable("an account cannot stand in a header")),
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    const APPLICATION: AccountSource = AccountSource::Application(ApplicationId(7));

    #[test]
    fn a_plain_name_reads_as_it_is() {
        for name in ["ada", "Ada.Lovelace+x@example.org", "a,b;c=\"d\"", "~_-"] {
            assert_eq!(named(AccountSource::BuiltIn, name), name);
        }
    }

    #[test]
    fn what_a_header_cannot_hold_is_percent_encoded() {
        for (name, written) in [
            ("ada lovelace", "ada%20lovelace"),
            ("Žofie", "%C5%BDofie"),
            ("100%", "100%25"),
            ("a/b", "a%2Fb"),
            (" ", "%20"),
            ("a\r\nRemote-User: root", "a%0D%0ARemote-User:%20root"),
        ] {
            assert_eq!(named(AccountSource::BuiltIn, name), written);
        }
    }

    #[test]
    fn an_applications_account_never_reads_as_a_built_in_one() {
        assert_eq!(named(APPLICATION, "ada"), "7/ada");
        assert_eq!(named(AccountSource::BuiltIn, "7/ada"), "7%2Fada");
    }

    proptest! {
        #[test]
        fn any_name_is_one_valid_header_that_decodes_to_it(name in "\\PC{1,64}|.{1,64}") {
            let written = named(AccountSource::BuiltIn, &name);
            prop_assert!(written.bytes().all(|byte| (0x21..0x7f).contains(&byte)));
            prop_assert!(value_of(&written).is_ok());
            prop_assert_eq!(percent_decode_str(&written).decode_utf8().unwrap(), name.as_str());
        }

        #[test]
        fn two_accounts_never_read_alike(
            one in "[a7%/ é]{1,4}", other in "[a7%/ é]{1,4}", first in 0_u32..3, second in 0_u32..3,
        ) {
            let (of_one, of_other) = (AccountSource::from_number(first), AccountSource::from_number(second));
            let same = one == other && first == second;
            prop_assert_eq!(named(of_one, &one) == named(of_other, &other), same);
        }
    }
}

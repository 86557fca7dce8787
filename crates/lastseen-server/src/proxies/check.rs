//! The session that a proxy asks about.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use lastseen::AccountSource;
use lastseen_axum::{CurrentSession, Problem};
use url::form_urlencoded;

/// What a proxy was told: the visitor's session, or that there is none that will do. The use is recorded.
///
/// It rejects what cannot be answered: a store that cannot be asked, and a query that is not understood. Either makes a
/// proxy refuse the visitor, which is what a mistake in its settings should do.
pub(super) struct Checked(pub(super) Option<CurrentSession>);

/// The accounts that a proxy lets in: the parameter `accounts`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Accounts {
    /// Those of every source: an application's people, too.
    Any,
    /// Only those that Lastseen itself keeps.
    BuiltIn,
}

impl Accounts {
    fn read(query: &str) -> Result<Self, Problem> {
        let mut accounts = Self::Any;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (&*name, &*value) {
                ("accounts", "built-in") => accounts = Self::BuiltIn,
                ("accounts", _) => {
                    return Err(Problem::invalid_request(
                        "`accounts` may be `built-in`, or be left out.",
                    ));
                }
                _ => {}
            }
        }
        Ok(accounts)
    }

    fn include(self, source: AccountSource) -> bool {
        self == Self::Any || source == AccountSource::BuiltIn
    }
}

impl<S: Sync> FromRequestParts<S> for Checked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let accounts = Accounts::read(parts.uri.query().unwrap_or_default())?;
        let current =
            <CurrentSession as OptionalFromRequestParts<S>>::from_request_parts(parts, state)
                .await?;
        Ok(Self(current.filter(|current| {
            accounts.include(current.session.account.key.source)
        })))
    }
}

#[cfg(test)]
mod tests {
    use lastseen::ApplicationId;

    use super::*;

    #[test]
    fn every_account_will_do_unless_the_proxy_says_otherwise() {
        let application = AccountSource::Application(ApplicationId(1));
        assert!(Accounts::read("").unwrap().include(application));
        assert!(Accounts::read("other=x").unwrap().include(application));
        let built_in = Accounts::read("x=y&accounts=built-in").unwrap();
        assert!(!built_in.include(application));
        assert!(built_in.include(AccountSource::BuiltIn));
    }

    #[test]
    fn a_kind_of_accounts_that_there_is_not_is_refused_rather_than_ignored() {
        for query in [
            "accounts=",
            "accounts",
            "accounts=builtin",
            "accounts=built-in&accounts=x",
        ] {
            assert!(Accounts::read(query).is_err(), "{query}");
        }
    }
}

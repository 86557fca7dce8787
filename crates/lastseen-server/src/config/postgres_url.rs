//! The address of a PostgreSQL database, which may hold a password and so never shows itself.

use std::fmt;

use lastseen_postgres::{Address, AddressError};
use zeroize::Zeroizing;

/// `postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=…`, as it was typed. Shown without what is secret in it.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(Zeroizing<String>);

impl PostgresUrl {
    /// Takes a text for one, if it can be understood. Certificates that it names are read, so that a wrong path is told
    /// now.
    pub(super) fn read(text: &str) -> Result<Self, AddressError> {
        Address::parse(text)?;
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// Where the database is, to be reached.
    ///
    /// # Errors
    /// Where a certificate that it names cannot be read any more.
    pub(crate) fn address(&self) -> Result<Address, AddressError> {
        Address::parse(&self.0)
    }

    /// Scheme, user, hosts, name, and the parameters that are no secrets.
    fn shown(&self) -> String {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("postgres", ""));
        // A password that was not percent-encoded may hold any of these signs: all up to the last @ is secret but the
        // user's name, which ends with the first of them.
        let (user, place) = match rest.rsplit_once('@') {
            Some((secret, place)) => {
                let user = secret.split([':', '/', '?', '@']).next();
                (format!("{}@", user.unwrap_or_default()), place)
            }
            None => (String::new(), rest),
        };
        let (place, query) = match place.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (place, None),
        };
        let mut shown = format!("{scheme}://{user}{place}");
        let mut separator = '?';
        for parameter in query.into_iter().flat_map(|query| query.split('&')) {
            let name = parameter.split('=').next().unwrap_or_default();
            if name.to_ascii_lowercase().contains("pass") {
                continue;
            }
            shown.push(separator);
            shown.push_str(parameter);
            separator = '&';
        }
        shown
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PostgresUrl({})", self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_left_out_wherever_it_stands() {
        for (typed, expected) in [
            (
                "postgres://ada:secret@db/lastseen",
                "postgres://ada@db/lastseen",
            ),
            (
                "postgresql://ada:secret@db:5432,other:5433/lastseen?sslmode=disable",
                "postgresql://ada@db:5432,other:5433/lastseen?sslmode=disable",
            ),
            (
                "postgres://db/lastseen?user=ada&password=secret&sslmode=require",
                "postgres://db/lastseen?user=ada&sslmode=require",
            ),
            (
                "postgres://ada:se/cret:secret@db/lastseen",
                "postgres://ada@db/lastseen",
            ),
            (
                "postgres://ada:a@secret@db/lastseen",
                "postgres://ada@db/lastseen",
            ),
            (
                "postgres://ada:secret?secret@db/lastseen",
                "postgres://ada@db/lastseen",
            ),
            (
                "postgres://db/l?password=secret&options=a@b",
                "postgres://db@b",
            ),
            (
                "postgres://ada@/lastseen?host=/run/postgresql",
                "postgres://ada@/lastseen?host=/run/postgresql",
            ),
        ] {
            let url = PostgresUrl(Zeroizing::new(typed.to_owned()));
            assert_eq!(url.to_string(), expected);
            assert!(!format!("{url:?}").contains("secret"), "{url:?}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused_at_once() {
        assert!(PostgresUrl::read("postgres://ada:secret@db/lastseen").is_ok());
        for text in [
            "sqlite:lastseen.db",
            "postgres://db",
            "postgres://ada@db/l?sslmode=maybe",
        ] {
            assert!(PostgresUrl::read(text).is_err(), "{text}");
        }
    }
}

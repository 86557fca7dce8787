//! Where a database is, and how one gets in: read from a URL.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::form_urlencoded;

use crate::error::{AddressError, Error};
use crate::tls::{self, Files, Trust};

/// How long the network may take to accept a connection. Time enough for one lost packet (1 s) and another (2 s).
const CONNECT: Duration = Duration::from_secs(3);
/// How long what was sent may stay without a word from the other side before the kernel gives the connection up.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);
/// When a silent connection is asked for a sign of life, and how often after that.
const IDLE: Duration = Duration::from_secs(10);
const PROBE_EVERY: Duration = Duration::from_secs(3);
const PROBES: u32 = 3;

/// A connection that tells what the server sends unasked, notifications for instance; it has to be polled.
pub type Stream = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// A PostgreSQL database, as a URL says: `postgres://user:password@host:port/database?sslmode=verify-full`.
///
/// The parameters are those of libpq that tokio-postgres knows, and `sslmode` (`disable`, `prefer`, `require`,
/// `verify-ca`, `verify-full`), `sslrootcert` (a file, or `system`), `sslcert` and `sslkey`. Neither its
/// [`Display`](fmt::Display) nor its [`Debug`] form shows the password.
#[derive(Clone)]
pub struct Address {
    config: Config,
    tls: MakeRustlsConnect,
}

impl Address {
    /// Reads the address; also the certificates that it names, so that a wrong path is told now.
    ///
    /// # Errors
    /// One line that says what is wrong with it, without the password.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(AddressError::Scheme);
        }
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let mut mode = None;
        let mut files = Files::default();
        let mut rest = form_urlencoded::Serializer::new(String::new());
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "sslmode" => mode = Some(Mode::parse(&value)?),
                "sslrootcert" => files.roots = Some(PathBuf::from(&*value)),
                "sslcert" => files.certificate = Some(PathBuf::from(&*value)),
                "sslkey" => files.key = Some(PathBuf::from(&*value)),
                _ => {
                    rest.append_pair(&key, &value);
                }
            }
        }
        // The library's own reader decodes percent signs and takes a plus sign as it stands.
        let rest = rest.finish().replace('+', "%20");
        let mut config: Config = format!("{place}?{rest}")
            .parse()
            .map_err(|error| AddressError::Unreadable(reason(&error).into()))?;
        if config.get_user().is_none() {
            return Err(AddressError::NoUser);
        }
        let mode = mode.unwrap_or(Mode::Prefer);
        let (needed, trust) = mode.meaning(&files);
        config.ssl_mode(needed);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        config
            .keepalives_idle(IDLE)
            .keepalives_interval(PROBE_EVERY)
            .keepalives_retries(PROBES);
        if config.get_application_name().is_none() {
            config.application_name("lastseen");
        }
        let tls = MakeRustlsConnect::new(tls::configuration(trust, &files)?);
        Ok(Self { config, tls })
    }

    /// Opens a connection of its own, outside any pool. It lives as long as the second part is polled.
    ///
    /// # Errors
    /// What kept it from being opened. Bounded only in reaching the server: the caller bounds the rest.
    pub async fn connect(&self) -> Result<(Client, Stream), Error> {
        Ok(self.config.connect(self.tls.clone()).await?)
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn tls(&self) -> &MakeRustlsConnect {
        &self.tls
    }
}

/// The words of libpq for how much of TLS is wanted.
#[derive(Clone, Copy)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Mode {
    fn parse(word: &str) -> Result<Self, AddressError> {
        Ok(match word {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            other => return Err(AddressError::Mode(other.into())),
        })
    }

    /// Whether TLS is needed, and who is trusted: as libpq has it, roots that are named are used in every mode,
    /// and the system's only with the name compared.
    fn meaning(self, files: &Files) -> (SslMode, Trust) {
        let chain = if files.roots.is_some() {
            Trust::Chain
        } else {
            Trust::Anybody
        };
        match self {
            _ if files.are_the_systems() => (SslMode::Require, Trust::ChainAndName),
            Self::Disable => (SslMode::Disable, Trust::Anybody),
            Self::Prefer => (SslMode::Prefer, chain),
            Self::Require => (SslMode::Require, chain),
            Self::VerifyCa => (SslMode::Require, Trust::Chain),
            Self::VerifyFull => (SslMode::Require, Trust::ChainAndName),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(formatter, "{user}@")?;
        }
        let ports = self.config.get_ports();
        for (place, host) in self.config.get_hosts().iter().enumerate() {
            if place > 0 {
                formatter.write_str(",")?;
            }
            match host {
                Host::Tcp(name) if name.contains(':') => write!(formatter, "[{name}]")?,
                Host::Tcp(name) => formatter.write_str(name)?,
                Host::Unix(path) => write!(formatter, "{}", path.display())?,
            }
            if let Some(port) = ports.get(place).or(ports.first()) {
                write!(formatter, ":{port}")?;
            }
        }
        match self.config.get_dbname().or(self.config.get_user()) {
            Some(name) => write!(formatter, "/{name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Address({self})")
    }
}

/// An error with what it came of. The library's own text says only where it arose.
fn reason(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for url in [
            "postgres://ada:s3cret@db.example:5433/people",
            "postgresql://ada@db.example:5433/people?password=s3cret&sslmode=disable",
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(address.to_string(), "postgres://ada@db.example:5433/people");
            assert!(!format!("{address:?}").contains("s3cret"));
        }
    }

    #[test]
    fn a_socket_several_hosts_and_signs_in_a_password_are_understood() {
        let socket =
            Address::parse("postgres://ada:a%20b%2Bc+d@/people?host=%2Frun%2Fpostgresql").unwrap();
        assert_eq!(socket.config.get_password(), Some(&b"a b+c+d"[..]));
        assert_eq!(
            socket.config.get_hosts(),
            [Host::Unix("/run/postgresql".into())]
        );
        let several =
            Address::parse("postgres://ada@one:1,two:2/people?target_session_attrs=read-write")
                .unwrap();
        assert_eq!(several.to_string(), "postgres://ada@one:1,two:2/people");
        let question = Address::parse("postgres://ada@h/d?application_name=a+b").unwrap();
        assert_eq!(question.config.get_application_name(), Some("a b"));
    }

    #[test]
    fn what_is_wrong_is_said_in_a_line_without_the_password() {
        for (url, words) in [
            ("sqlite:lastseen.db", "postgres://"),
            ("postgres://ada:s3cret@h/d?sslmode=allow", "verify-full"),
            ("postgres://ada:s3cret@h:port/d", "port"),
            ("postgres://ada:s3cret@h/d?colour=red", "colour"),
            ("postgres://h/d", "user"),
            ("postgres://ada:s3cret@h/d?sslrootcert=/nowhere", "/nowhere"),
        ] {
            let text = Address::parse(url).unwrap_err().to_string();
            assert!(text.contains(words), "{text}");
            assert!(!text.contains("s3cret"), "{text}");
            assert!(!text.contains('\n'), "{text}");
        }
    }
}

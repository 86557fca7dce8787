//! What was typed means this, with every value checked.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use lastseen_axum::{CookieDomain, PublicUrl};
use lastseen_postgres::Length;

use crate::sign_in::ReturnHost;

use super::postgres_url::PostgresUrl;
use super::typed::{Source, Typed, quoted};
use super::{SETTINGS, Setting, Wrong, value};

/// The settings in force, each of its own type and within its bounds.
#[derive(Debug, Clone)]
pub struct Effective {
    /// The address and port to listen on, as asked for: port 0 stands for any free one.
    pub listen: SocketAddr,
    /// Where accounts and sessions are kept.
    pub database: DatabaseLocation,
    /// How this node shares the database, where that is how it is kept.
    pub node: NodeSettings,
    /// The address that browsers use; `None` is the listening address, known once the port is.
    pub public_url: Option<PublicUrl>,
    /// The networks whose word on a visitor's address counts.
    pub trusted_proxies: Vec<IpNet>,
    /// The hosts outside this server that a visitor may be led back to after sign-in.
    pub return_hosts: Vec<ReturnHost>,
    /// The domain whose hosts share the session cookie, where they do.
    pub cookie_domain: Option<CookieDomain>,
    /// What the library needs to know: policy, limits, intervals.
    pub sessions: lastseen::Settings,
    /// Connections held at once.
    pub max_connections: u32,
    /// How long it goes on serving once it was asked to stop, while it says that it is not ready.
    pub drain: Option<Duration>,
    /// The address and port of `/metrics`, where it is wanted.
    pub metrics_listen: Option<SocketAddr>,
    /// The form of the log.
    pub log_format: LogFormat,
    /// The least weighty line that is logged.
    pub log_level: tracing::Level,
    typed: Typed,
}

/// Where accounts and sessions are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseLocation {
    /// A file of SQLite's, which one process has open.
    Sqlite(PathBuf),
    /// A database of PostgreSQL's, which any number of nodes share.
    Postgres(PostgresUrl),
}

/// How this node shares a database with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSettings {
    /// Where the database is without a pooler in between, if it is another address.
    pub direct: Option<PostgresUrl>,
    /// Connections held at most, besides those of the lease.
    pub connections: u32,
    /// How long this node may answer from memory after it last heard from the database.
    pub lease: Length,
    /// What this node is called, where it was said.
    pub name: Option<String>,
}

/// The form of the log on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line, for programs.
    Json,
}

impl Effective {
    /// Works out what was typed, or says everything that is wrong with it.
    pub fn work_out(typed: Typed) -> Result<Self, Vec<Wrong>> {
        let mut reader = Reader {
            typed: &typed,
            wrong: Vec::new(),
        };
        let listen = reader.one("listen", value::address);
        let database = reader.one("database", database);
        let direct = reader.one("database-direct", postgres);
        if direct.is_some() && matches!(database, Some(DatabaseLocation::Sqlite(_))) {
            reader.wrong.push(Wrong::new(
                "--database-direct: names PostgreSQL, but --database does not",
            ));
        }
        // One would let a long list hold up every sign-in; more than a thousand is more than PostgreSQL bears.
        let connections = reader.one("database-connections", |text| value::number(text, 2, 1_000));
        let lease = reader.one("lease", lease);
        let node_name = reader.one("node-name", node_name);
        let public_url = reader.one("public-url", public_url);
        let trusted_proxies = reader.all("trusted-proxy", value::network);
        let return_hosts = reader.all("return-host", return_host);
        // A public URL that is wrong has been said already; what it would make of the domain is not known.
        let is_url_known = public_url.is_some() || typed.source("public-url") == Source::Default;
        let cookie_domain = if is_url_known {
            reader.one("cookie-domain", |text| {
                cookie_domain(public_url.as_ref(), text)
            })
        } else {
            None
        };
        let idle_timeout = reader.one("idle-timeout", value::duration);
        let remembered_idle_timeout = reader.one("remembered-idle-timeout", value::duration);
        let absolute_lifetime = reader.one("absolute-lifetime", value::duration);
        // A million sessions of one account is a page no person reads; it also keeps the count far from its edge.
        let max_sessions = reader.one("max-sessions-per-account", |text| {
            value::number(text, 0, 1_000_000)
        });
        let touch_interval = reader.one("touch-interval", value::duration);
        let keep_expired = reader.one("keep-expired", value::duration);
        let keep_ended = reader.one("keep-ended", value::duration);
        let cache_memory = reader.one("cache-memory", value::size);
        // Below 16 one browser (which opens six at once) would lock the others out; a million is past what one
        // process may hold open.
        let max_connections =
            reader.one("max-connections", |text| value::number(text, 16, 1_000_000));
        let drain = reader.one("drain", drain);
        let metrics_listen = reader.one("metrics-listen", value::address);
        let log_format = reader.one("log-format", log_format);
        let log_level = reader.one("log-level", log_level);
        if !reader.wrong.is_empty() {
            return Err(reader.wrong);
        }
        // Every setting with a default has been read by now, or something wrong has been said above.
        let missing = || vec![Wrong::new("a setting has neither value nor default")];
        Ok(Self {
            listen: listen.ok_or_else(missing)?,
            database: database.ok_or_else(missing)?,
            node: NodeSettings {
                direct,
                connections: connections.ok_or_else(missing)?,
                lease: lease.ok_or_else(missing)?,
                name: node_name,
            },
            public_url,
            trusted_proxies,
            return_hosts,
            cookie_domain,
            sessions: lastseen::Settings {
                policy: lastseen::Policy {
                    idle_timeout: idle_timeout.ok_or_else(missing)?,
                    remembered_idle_timeout: remembered_idle_timeout.ok_or_else(missing)?,
                    absolute_lifetime: absolute_lifetime.ok_or_else(missing)?,
                },
                max_sessions_per_account: max_sessions.and_then(NonZeroU32::new),
                touch_interval: touch_interval.ok_or_else(missing)?,
                keep_expired: keep_expired.ok_or_else(missing)?,
                keep_ended: keep_ended.ok_or_else(missing)?,
                cache_memory: cache_memory.ok_or_else(missing)?,
            },
            max_connections: max_connections.ok_or_else(missing)?,
            drain,
            metrics_listen,
            log_format: log_format.ok_or_else(missing)?,
            log_level: log_level.ok_or_else(missing)?,
            typed,
        })
    }

    /// The address that browsers use, given the address that the server came to listen on.
    pub fn public_url(&self, listening: SocketAddr) -> PublicUrl {
        self.public_url.clone().unwrap_or_else(|| {
            // An address and a port are always a host and a port of a URL.
            PublicUrl::parse(&format!("http://{listening}")).expect("an address is a host")
        })
    }

    /// What a person should hear about these settings before the server runs, loudest first. They are no mistakes in
    /// form, so they stop nothing.
    pub fn warnings(&self, listening: SocketAddr) -> Vec<String> {
        let mut warnings = Vec::new();
        let public_url = self.public_url(listening);
        if !public_url.is_https() && !public_url.is_loopback() {
            warnings.push(format!(
                "PASSWORDS AND SESSION TOKENS WILL CROSS THE NETWORK UNENCRYPTED: the public URL {public_url} is plain http and not loopback; put a proxy with TLS in front and set --public-url https://..."
            ));
        }
        if self.public_url.is_none() && listening.ip().is_unspecified() {
            warnings.push(format!(
                "no browser can use the public URL {public_url}: set --public-url to the address that browsers use"
            ));
        }
        if let Some(everyone) = self
            .trusted_proxies
            .iter()
            .find(|network| network.prefix_len() == 0)
        {
            warnings.push(format!(
                "every visitor may choose the address that is shown for him: --trusted-proxy {everyone} trusts everybody"
            ));
        }
        if self
            .metrics_listen
            .is_some_and(|address| !address.ip().is_loopback())
        {
            warnings.push(
                "whoever reaches --metrics-listen may read the figures: it asks for no key"
                    .to_owned(),
            );
        }
        for name in self.typed.unknown_variables() {
            warnings.push(format!(
                "the environment variable {name} is no setting and changes nothing"
            ));
        }
        warnings
    }

    /// The settings in force as a settings file, each with where it comes from. The only secret that a setting may
    /// hold, the password in a database's address, is left out.
    pub fn to_file(&self) -> String {
        let mut text = String::new();
        for setting in SETTINGS {
            let source = self.typed.source(setting.key);
            let line = match self.effective_text(setting) {
                Some(value) => format!("{} = {value}", setting.key),
                None => format!("# {} is not set", setting.key),
            };
            text.push_str(&line);
            if source != Source::Default {
                text.extend([" # ", &crate::cli::text::visible(&source.to_string())]);
            }
            text.push('\n');
        }
        text
    }

    /// The settings that have another value in `other`, by key.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let differs =
            |setting: &&Setting| self.effective_text(setting) != other.effective_text(setting);
        SETTINGS
            .iter()
            .filter(differs)
            .map(|setting| setting.key)
            .collect()
    }

    /// One setting as it would stand in a settings file.
    fn effective_text(&self, setting: &Setting) -> Option<String> {
        let quoted = |text: String| Some(toml::Value::String(text).to_string());
        let sessions = &self.sessions;
        match setting.key {
            "listen" => quoted(self.listen.to_string()),
            "database" => quoted(self.database.to_string()),
            "database-direct" => self
                .node
                .direct
                .as_ref()
                .and_then(|url| quoted(url.to_string())),
            "database-connections" => Some(self.node.connections.to_string()),
            "lease" => quoted(value::duration_text(self.node.lease.duration())),
            "node-name" => self.node.name.clone().and_then(quoted),
            "public-url" => self
                .public_url
                .as_ref()
                .and_then(|url| quoted(url.to_string())),
            "trusted-proxy" => list(&self.trusted_proxies),
            "return-host" => list(&self.return_hosts),
            "cookie-domain" => self
                .cookie_domain
                .as_ref()
                .and_then(|domain| quoted(domain.as_str().to_owned())),
            "idle-timeout" => quoted(value::duration_text(sessions.policy.idle_timeout)),
            "remembered-idle-timeout" => quoted(value::duration_text(
                sessions.policy.remembered_idle_timeout,
            )),
            "absolute-lifetime" => quoted(value::duration_text(sessions.policy.absolute_lifetime)),
            "max-sessions-per-account" => Some(
                sessions
                    .max_sessions_per_account
                    .map_or(0, NonZeroU32::get)
                    .to_string(),
            ),
            "touch-interval" => quoted(value::duration_text(sessions.touch_interval)),
            "keep-expired" => quoted(value::duration_text(sessions.keep_expired)),
            "keep-ended" => quoted(value::duration_text(sessions.keep_ended)),
            "cache-memory" => quoted(value::size_text(sessions.cache_memory)),
            "max-connections" => Some(self.max_connections.to_string()),
            "drain" => self
                .drain
                .and_then(|drain| quoted(value::duration_text(drain))),
            "metrics-listen" => self
                .metrics_listen
                .and_then(|address| quoted(address.to_string())),
            "log-format" => quoted(
                match self.log_format {
                    LogFormat::Text => "text",
                    LogFormat::Json => "json",
                }
                .to_owned(),
            ),
            "log-level" => quoted(self.log_level.to_string().to_lowercase()),
            _ => None,
        }
    }
}

/// Reads settings one by one and keeps what is wrong with them.
struct Reader<'a> {
    typed: &'a Typed,
    wrong: Vec<Wrong>,
}

impl Reader<'_> {
    fn all<T>(&mut self, key: &'static str, read: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let Some(setting) = Setting::find(key) else {
            self.wrong.push(Wrong::new(format!("{key} is no setting")));
            return Vec::new();
        };
        let typed = self.typed.get(setting);
        let mut values = Vec::new();
        for text in &typed.values {
            match read(text) {
                Ok(value) => values.push(value),
                Err(reason) => {
                    let name = typed.source.name(setting);
                    let quoted = quoted(text);
                    self.wrong
                        .push(Wrong::new(format!("{name}: {quoted} {reason}")));
                }
            }
        }
        values
    }

    fn one<T>(&mut self, key: &'static str, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        self.all(key, read).pop()
    }
}

/// Several values as a settings file has them; none where there are none.
fn list(values: &[impl ToString]) -> Option<String> {
    let values: Vec<toml::Value> = values
        .iter()
        .map(|value| toml::Value::String(value.to_string()))
        .collect();
    (!values.is_empty()).then(|| toml::Value::Array(values).to_string())
}

fn return_host(text: &str) -> Result<ReturnHost, String> {
    ReturnHost::read(text)
        .ok_or_else(|| {
            "is no host like wiki.example.org or wiki.example.org:8443: no scheme, path, wildcard or IPv6 address"
                .to_owned()
        })
}

fn cookie_domain(public_url: Option<&PublicUrl>, text: &str) -> Result<CookieDomain, String> {
    let public_url =
        public_url.ok_or("cannot share the cookie: --public-url must be set, and be https")?;
    CookieDomain::around(public_url, text)
        .map_err(|error| format!("cannot share the cookie: {error}"))
}

fn public_url(text: &str) -> Result<PublicUrl, String> {
    PublicUrl::parse(text).map_err(|error| format!("is no public URL: {error}"))
}

impl DatabaseLocation {
    /// The database that an address names: `sqlite:PATH` or `postgres://…`.
    ///
    /// # Errors
    /// What is wrong with it, quoted without its password.
    pub fn read(text: &str) -> Result<Self, String> {
        database(text).map_err(|reason| format!("{} {reason}", quoted(text)))
    }
}

fn database(text: &str) -> Result<DatabaseLocation, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return postgres(text).map(DatabaseLocation::Postgres);
    }
    let path = text.strip_prefix("sqlite:").ok_or(
        "is no database like sqlite:lastseen.db or postgres://lastseen@db.example/lastseen",
    )?;
    if path.is_empty() || path.contains('\0') {
        return Err("names no file: write sqlite:PATH".to_owned());
    }
    Ok(DatabaseLocation::Sqlite(PathBuf::from(path)))
}

fn postgres(text: &str) -> Result<PostgresUrl, String> {
    PostgresUrl::read(text).map_err(|error| format!("names no database: it {error}"))
}

/// Whole seconds, as all durations are written; the rest of the bounds has its reasons at [`Length`].
fn lease(text: &str) -> Result<Length, String> {
    let lease = value::duration(text).ok().and_then(Length::new);
    lease.ok_or_else(|| {
        let longest = value::duration_text(Length::LONGEST.duration());
        format!("does not lie between 1s and {longest}")
    })
}

/// No proxy asks more often than once a second unless told; one that has not asked for a minute leads nobody.
fn drain(text: &str) -> Result<Duration, String> {
    value::duration(text)
        .ok()
        .filter(|drain| (Duration::from_secs(1)..=Duration::from_mins(1)).contains(drain))
        .ok_or_else(|| "does not lie between 1s and 1m".to_owned())
}

fn node_name(text: &str) -> Result<String, String> {
    if (1..=64).contains(&text.len()) && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("is no name of 1 to 64 bytes without control characters".to_owned())
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("is neither text nor json".to_owned()),
    }
}

fn log_level(text: &str) -> Result<tracing::Level, String> {
    match text {
        "error" => Ok(tracing::Level::ERROR),
        "warn" => Ok(tracing::Level::WARN),
        "info" => Ok(tracing::Level::INFO),
        "debug" => Ok(tracing::Level::DEBUG),
        "trace" => Ok(tracing::Level::TRACE),
        _ => Err("is none of error, warn, info, debug and trace".to_owned()),
    }
}

impl std::fmt::Display for DatabaseLocation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(formatter, "sqlite:{}", path.display()),
            Self::Postgres(url) => write!(formatter, "{url}"),
        }
    }
}

#[cfg(test)]
mod tests;

//! The table of settings.

/// One setting: how it is called, what it is unless told otherwise, and what it means.
#[derive(Debug)]
pub struct Setting {
    /// The name without dashes in front: `idle-timeout` is `--idle-timeout`, `LASTSEEN_IDLE_TIMEOUT` and, in the file,
    /// `idle-timeout`.
    pub key: &'static str,
    /// What stands for the value in help texts.
    pub value_name: &'static str,
    /// The value in force when nobody sets one, as it would be typed; `None` where there is none.
    pub default: Option<&'static str>,
    /// Whether it may be given more than once.
    pub repeatable: bool,
    /// Whether commands other than `serve` have a use for it, and so show it in their help.
    pub everywhere: bool,
    /// What it means, in one sentence.
    pub means: &'static str,
}

impl Setting {
    /// The name of the environment variable: `LASTSEEN_` and the key in capitals.
    pub fn environment_variable(&self) -> String {
        format!("LASTSEEN_{}", self.key.to_uppercase().replace('-', "_"))
    }

    /// The setting with this key, if there is one.
    pub fn find(key: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }
}

/// Every setting there is, in the order in which help and documentation name them.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        value_name: "ADDRESS:PORT",
        default: Some("127.0.0.1:8080"),
        repeatable: false,
        everywhere: false,
        means: "Address and port to listen on; port 0 takes any free one",
    },
    Setting {
        key: "database",
        value_name: "URL",
        default: Some("sqlite:lastseen.db"),
        repeatable: false,
        everywhere: true,
        means: "Where accounts and sessions are kept: sqlite:PATH, or postgres://USER:PASSWORD@HOST/NAME for any number of nodes",
    },
    Setting {
        key: "database-direct",
        value_name: "URL",
        default: None,
        repeatable: false,
        everywhere: true,
        means: "The same PostgreSQL database without a pooler such as PgBouncer in between: where a node renews its lease and hears of terminations [default: --database]",
    },
    Setting {
        key: "database-connections",
        value_name: "NUMBER",
        default: Some("16"),
        repeatable: false,
        everywhere: false,
        means: "Connections to PostgreSQL that a node holds at most, besides two for its lease",
    },
    Setting {
        key: "lease",
        value_name: "DURATION",
        default: Some("1s"),
        repeatable: false,
        everywhere: false,
        means: "How long a node over PostgreSQL may answer from memory after it last heard from the database, and so how long a dead node can hold a termination up; 1s to 5s",
    },
    Setting {
        key: "node-name",
        value_name: "NAME",
        default: None,
        repeatable: false,
        everywhere: false,
        means: "What lastseen nodes calls this node [default: the machine's host name]",
    },
    Setting {
        key: "public-url",
        value_name: "URL",
        default: None,
        repeatable: false,
        everywhere: false,
        means: "The address that browsers use; decides cookie name, Secure, and the origin that writes must come from [default: the listening address]",
    },
    Setting {
        key: "trusted-proxy",
        value_name: "CIDR",
        default: None,
        repeatable: true,
        everywhere: false,
        means: "Who may say X-Forwarded-* or Forwarded; may be given several times [default: none]",
    },
    Setting {
        key: "return-host",
        value_name: "HOST[:PORT]",
        default: None,
        repeatable: true,
        everywhere: false,
        means: "A further host that visitors may be led back to after sign-in; may be given several times [default: none]",
    },
    Setting {
        key: "cookie-domain",
        value_name: "DOMAIN",
        default: None,
        repeatable: false,
        everywhere: false,
        means: "Shares the session cookie with every host of this domain, each of which can then read it [default: the public URL's host alone]",
    },
    Setting {
        key: "idle-timeout",
        value_name: "DURATION",
        default: Some("12h"),
        repeatable: false,
        everywhere: false,
        means: "Longest pause of a session without \"remember this device\"",
    },
    Setting {
        key: "remembered-idle-timeout",
        value_name: "DURATION",
        default: Some("14d"),
        repeatable: false,
        everywhere: false,
        means: "Longest pause of a session with \"remember this device\"",
    },
    Setting {
        key: "absolute-lifetime",
        value_name: "DURATION",
        default: Some("30d"),
        repeatable: false,
        everywhere: false,
        means: "Longest age of a session, however much it is used",
    },
    Setting {
        key: "max-sessions-per-account",
        value_name: "NUMBER",
        default: Some("1000"),
        repeatable: false,
        everywhere: false,
        means: "Beyond it the session unused for longest ends; 0 is no limit",
    },
    Setting {
        key: "touch-interval",
        value_name: "DURATION",
        default: Some("60s"),
        repeatable: false,
        everywhere: false,
        means: "How much of the last use a crash may lose; answers are always exact",
    },
    Setting {
        key: "keep-expired",
        value_name: "DURATION",
        default: Some("30d"),
        repeatable: false,
        everywhere: false,
        means: "How long an expired session stays listed",
    },
    Setting {
        key: "keep-ended",
        value_name: "DURATION",
        default: Some("90d"),
        repeatable: false,
        everywhere: false,
        means: "How long the record of a session that left the list is kept, with when, why and by whom",
    },
    Setting {
        key: "cache-memory",
        value_name: "SIZE",
        default: Some("512MiB"),
        repeatable: false,
        everywhere: false,
        means: "Memory that sessions held ready for checking may take",
    },
    Setting {
        key: "max-connections",
        value_name: "NUMBER",
        default: Some("8192"),
        repeatable: false,
        everywhere: false,
        means: "Connections held at once; beyond it the one idle for longest is closed",
    },
    Setting {
        key: "drain",
        value_name: "DURATION",
        default: None,
        repeatable: false,
        everywhere: false,
        means: "How long a server that was asked to stop goes on serving while GET /readyz says 503, so that a proxy in front leads visitors elsewhere first; 1s to 1m [default: it stops at once]",
    },
    Setting {
        key: "metrics-listen",
        value_name: "ADDRESS:PORT",
        default: None,
        repeatable: false,
        everywhere: false,
        means: "Address and port of GET /metrics for Prometheus [default: none]",
    },
    Setting {
        key: "log-format",
        value_name: "FORMAT",
        default: Some("text"),
        repeatable: false,
        everywhere: false,
        means: "Form of the log on stderr: text or json",
    },
    Setting {
        key: "log-level",
        value_name: "LEVEL",
        default: Some("info"),
        repeatable: false,
        everywhere: false,
        means: "Least weighty line that is logged: error, warn, info, debug or trace; a request is info",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_stands_once_and_in_kebab_case() {
        for (position, setting) in SETTINGS.iter().enumerate() {
            assert!(
                setting
                    .key
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
                "{}",
                setting.key
            );
            assert!(
                SETTINGS[position + 1..]
                    .iter()
                    .all(|other| other.key != setting.key),
                "{}",
                setting.key
            );
        }
    }

    #[test]
    fn the_environment_variable_of_idle_timeout_is_lastseen_idle_timeout() {
        let setting = Setting::find("idle-timeout").unwrap();
        assert_eq!(setting.environment_variable(), "LASTSEEN_IDLE_TIMEOUT");
    }
}

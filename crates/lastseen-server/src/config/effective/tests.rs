//! What the settings amount to, and what is wrong with them.

use std::collections::BTreeMap;

use super::*;

fn effective(flags: &[(&'static str, &str)]) -> Result<Effective, Vec<Wrong>> {
    let mut given: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for (key, value) in flags {
        given.entry(key).or_default().push((*value).to_owned());
    }
    Effective::work_out(Typed::gather(given, &BTreeMap::new(), None)?)
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let effective = effective(&[]).unwrap();
    let hours = |hours: u64| Duration::from_hours(hours);
    assert_eq!(effective.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(
        effective.database,
        DatabaseLocation::Sqlite("lastseen.db".into())
    );
    assert_eq!(
        effective.public_url(effective.listen).to_string(),
        "http://127.0.0.1:8080"
    );
    assert!(effective.trusted_proxies.is_empty());
    assert_eq!(effective.sessions.policy.idle_timeout, hours(12));
    assert_eq!(
        effective.sessions.policy.remembered_idle_timeout,
        hours(14 * 24)
    );
    assert_eq!(effective.sessions.policy.absolute_lifetime, hours(30 * 24));
    assert_eq!(
        effective.sessions.max_sessions_per_account,
        NonZeroU32::new(1000)
    );
    assert_eq!(effective.sessions.touch_interval, Duration::from_mins(1));
    assert_eq!(effective.sessions.keep_expired, hours(30 * 24));
    assert_eq!(effective.sessions.keep_ended, hours(90 * 24));
}

#[test]
fn a_wrong_value_is_one_line_that_names_the_setting() {
    let wrong = effective(&[("idle-timeout", "3 weeks")]).unwrap_err();
    assert_eq!(wrong.len(), 1);
    assert_eq!(
        wrong[0].to_string(),
        "--idle-timeout: \"3 weeks\" is no duration like 14d, 12h or 90s"
    );
}

#[test]
fn everything_that_is_wrong_is_found_at_once() {
    let wrong = effective(&[
        ("idle-timeout", "x"),
        ("listen", "y"),
        ("keep-ended", "401d"),
    ]);
    assert_eq!(wrong.unwrap_err().len(), 3);
}

#[test]
fn no_password_of_a_database_is_shown_anywhere() {
    let typed = [
        ("database", "postgres://ada:secret@pooler/db"),
        (
            "database-direct",
            "postgres://ada:secret@host/db?password=secret",
        ),
    ];
    let effective = effective(&typed).unwrap();
    let file = effective.to_file();
    assert!(file.contains("postgres://ada@pooler/db"), "{file}");
    assert!(file.contains("postgres://ada@host/db"), "{file}");
    for shown in [file, format!("{effective:?}")] {
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[test]
fn a_wrong_address_of_a_database_is_refused_without_its_password() {
    for typed in [
        ("database", "mysql://ada:secret@host/db"),
        ("database", "mysql://host/db?password=secret"),
        ("database-direct", "http://ada:secret@host/db"),
    ] {
        let wrong = effective(&[typed]).unwrap_err();
        let line = wrong[0].to_string();
        assert!(
            line.starts_with(&format!("--{}: the URL", typed.0)),
            "{line}"
        );
        assert!(!line.contains("secret"), "{line}");
    }
}

#[test]
fn a_lease_lies_between_one_second_and_five() {
    let lease = effective(&[]).unwrap().node.lease;
    assert_eq!(lease.duration(), Duration::from_secs(1));
    assert!(effective(&[("lease", "5s")]).is_ok());
    for text in ["0s", "6s", "1d", "500ms"] {
        assert!(effective(&[("lease", text)]).is_err(), "{text}");
    }
}

#[test]
fn a_server_drains_for_a_second_to_a_minute_or_not_at_all() {
    assert_eq!(effective(&[]).unwrap().drain, None);
    assert_eq!(
        effective(&[("drain", "5s")]).unwrap().drain,
        Some(Duration::from_secs(5))
    );
    for text in ["0s", "61s", "soon"] {
        assert!(effective(&[("drain", text)]).is_err(), "{text}");
    }
}

#[test]
fn a_direct_way_to_postgresql_beside_a_file_is_refused() {
    let wrong = effective(&[("database-direct", "postgres://host/db")]).unwrap_err();
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].to_string().starts_with("--database-direct: "));
}

#[test]
fn no_limit_of_sessions_is_written_0() {
    let effective = effective(&[("max-sessions-per-account", "0")]).unwrap();
    assert_eq!(effective.sessions.max_sessions_per_account, None);
}

#[test]
fn a_plain_public_url_that_is_not_loopback_is_warned_of() {
    let warned = |url| {
        let effective = effective(&[("public-url", url)]).unwrap();
        !effective.warnings(effective.listen).is_empty()
    };
    assert!(warned("http://sessions.example"));
    assert!(!warned("https://sessions.example"));
    assert!(!warned("http://localhost:8080"));
}

#[test]
fn a_return_host_is_a_host_and_nothing_else() {
    let named = effective(&[("return-host", "Wiki.example:8443")]).unwrap();
    assert_eq!(named.return_hosts[0].to_string(), "wiki.example:8443");
    for text in ["", "https://wiki.example", "*.example", "[::1]"] {
        let wrong = effective(&[("return-host", text)]).unwrap_err();
        let line = wrong[0].to_string();
        assert!(line.starts_with("--return-host: "), "{line}");
    }
}

#[test]
fn the_cookie_is_shared_over_https_alone_and_around_the_public_url_alone() {
    let shared = |url: &[(&'static str, &'static str)], domain| {
        let mut flags = vec![("cookie-domain", domain)];
        flags.extend(url);
        effective(&flags).map(|effective| effective.cookie_domain.unwrap().to_string())
    };
    let https = [("public-url", "https://sessions.example.org")];
    let http = [("public-url", "http://sessions.example.org")];
    assert_eq!(shared(&https, "example.org").unwrap(), "example.org");
    for (url, domain) in [
        (&[] as &[_], "example.org"),
        (&http, "example.org"),
        (&https, "another.example"),
        (&https, "org"),
        (&https, ""),
    ] {
        let wrong = shared(url, domain).unwrap_err();
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].to_string().starts_with("--cookie-domain: "));
    }
    // What is wrong is the public URL, and it is said once.
    let wrong = shared(&[("public-url", "sessions")], "example.org").unwrap_err();
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].to_string().starts_with("--public-url: "));
}

#[test]
fn the_effective_settings_are_a_settings_file_that_means_the_same() {
    let first = effective(&[
        ("idle-timeout", "90s"),
        ("trusted-proxy", "10.1.2.3/8"),
        ("trusted-proxy", "::1"),
        ("public-url", "https://Sessions.example:443/"),
        ("drain", "5s"),
        ("metrics-listen", "127.0.0.1:9090"),
        ("return-host", "Wiki.example:8443"),
        ("cookie-domain", "sessions.example"),
        ("database", "postgres://ada@host/a%20b"),
        ("database-direct", "postgres://ada@other/b"),
        ("node-name", "Node \"1\""),
    ])
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("settings.toml");
    std::fs::write(&path, first.to_file()).unwrap();
    let typed = Typed::gather(BTreeMap::new(), &BTreeMap::new(), Some(&path)).unwrap();
    let second = Effective::work_out(typed).unwrap();
    let values = |effective: &Effective| -> Vec<Option<String>> {
        SETTINGS
            .iter()
            .map(|setting| effective.effective_text(setting))
            .collect()
    };
    assert_eq!(values(&first), values(&second));
    assert!(values(&first).iter().all(Option::is_some));
}

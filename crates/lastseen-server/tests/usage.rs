//! The command line: settings, help, exit statuses, and commands that need no database.

mod support;

use std::process::Stdio;

use support::{assert_fails, lastseen, run, run_with_input, stderr, stdout};

#[test]
fn a_wrong_value_is_one_line_and_status_2_wherever_it_was_typed() {
    let directory = tempfile::tempdir().unwrap();
    let line = assert_fails(
        &run(directory.path(), &["serve", "--idle-timeout", "soon"]),
        2,
    );
    assert!(
        line.contains("--idle-timeout") && line.contains("soon"),
        "{line}"
    );

    let output = lastseen(directory.path(), &["account", "list"])
        .env("LASTSEEN_KEEP_ENDED", "401d")
        .output();
    let line = assert_fails(&output.unwrap(), 2);
    assert!(line.contains("LASTSEEN_KEEP_ENDED"), "{line}");

    std::fs::write(
        directory.path().join("settings.toml"),
        "listen = \"nowhere\"\n",
    )
    .unwrap();
    let line = assert_fails(&run(directory.path(), &["--config", "settings.toml"]), 2);
    assert!(line.contains("settings.toml: listen"), "{line}");

    std::fs::write(
        directory.path().join("settings.toml"),
        "idel-timeout = \"1h\"\n",
    )
    .unwrap();
    let line = assert_fails(
        &run(directory.path(), &["serve", "--config", "settings.toml"]),
        2,
    );
    assert!(line.contains("unknown key \"idel-timeout\""), "{line}");

    assert!(
        !directory.path().join("lastseen.db").exists(),
        "nothing was begun"
    );
}

#[test]
fn wrong_usage_is_one_line_and_status_2() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [
        &["--no-such-flag"][..],
        &["no-such-command"],
        &["account"],
        &["account", "add"],
        &["sessions", "terminate"],
        &["sessions", "terminate", "x", "--all"],
        &["sessions", "list", "--ip", "10.0.0.0/99"],
        &["demo", "--listen", "0.0.0.0:0"],
        &["demo", "--database", "sqlite:x.db"],
        &[
            "migrate-store",
            "sqlite:x.db",
            "postgres://ada:secret@h/x?sslmode=any",
        ],
        &[
            "serve",
            "--database",
            "postgres://ada:secret@localhost/x?sslmode=any",
        ],
    ] {
        let line = assert_fails(&run(directory.path(), arguments), 2);
        assert!(!line.contains("secret"), "{line}");
    }
}

#[test]
fn check_config_prints_the_effective_settings_or_everything_that_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &["check-config", "--idle-timeout", "90m"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("idle-timeout = \"1h30m\" # command line\n"));
    std::fs::write(directory.path().join("settings.toml"), stdout(&output)).unwrap();
    let again = run(
        directory.path(),
        &["check-config", "--config", "settings.toml"],
    );
    assert!(stdout(&again).contains("idle-timeout = \"1h30m\" # settings.toml\n"));

    let wrong = ["check-config", "--idle-timeout", "0s", "--listen", "x"];
    let output = run(directory.path(), &wrong);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stderr(&output).lines().count(), 2, "{}", stderr(&output));
}

#[test]
fn help_names_every_command_and_every_setting() {
    let directory = tempfile::tempdir().unwrap();
    let help = stdout(&run(directory.path(), &["--help"]));
    for word in [
        "serve",
        "demo",
        "account",
        "sessions",
        "device",
        "check-config",
        "backup",
        "--listen",
        "--database",
        "--public-url",
        "--trusted-proxy",
        "--idle-timeout",
        "--remembered-idle-timeout",
        "--absolute-lifetime",
        "--max-sessions-per-account",
        "--touch-interval",
        "--keep-expired",
        "--keep-ended",
        "--config",
        "LASTSEEN_IDLE_TIMEOUT",
    ] {
        assert!(help.contains(word), "{word} is not in:\n{help}");
    }
    let help = run(directory.path(), &["sessions", "terminate", "--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(stdout(&help).contains("--yes"));
    assert!(stdout(&run(directory.path(), &["--version"])).starts_with("lastseen "));
}

#[test]
fn completions_and_the_manual_come_out_of_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = run(directory.path(), &["completions", shell]);
        assert!(
            stdout(&output).contains("remembered-idle-timeout"),
            "{shell}"
        );
    }
    let manual = stdout(&run(directory.path(), &["man"]));
    assert!(manual.contains(".TH lastseen 1") && manual.contains("lastseen sessions terminate"));
}

#[test]
fn device_names_what_it_is_given_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";
    let output = run(directory.path(), &["device", firefox, "curl/8.14.1"]);
    let lines: Vec<serde_json::Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines[0],
        serde_json::json!({
            "operating_system": {"name": "Linux", "version": null},
            "browser": {"name": "Firefox", "version": "144"},
            "user_agent": "Firefox 144 on Linux",
        })
    );
    assert_eq!(lines[1]["browser"]["name"], "curl");
}

#[test]
fn device_reads_stdin_a_line_each_whatever_the_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let mut input = b"\xff\xfe\x00\n\n<script>alert(1)</script>\n".to_vec();
    input.extend(vec![b'a'; 100_000]);
    input.extend(b"\ncurl/8.14.1");
    let output = run_with_input(directory.path(), &["device"], &input);
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<serde_json::Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["user_agent"], "Unknown device");
    assert_eq!(lines[1]["user_agent"], "Unknown device");
    assert_eq!(lines[4]["browser"]["name"], "curl");
}

#[test]
fn a_reader_that_has_read_enough_ends_a_command_quietly() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = lastseen(directory.path(), &["completions", "zsh"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "");
}

//! `lastseen demo` as a process.

mod support;

use std::collections::HashSet;

use support::{Server, lastseen};

#[test]
fn the_demo_shows_sessions_of_every_kind_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = directory.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let mut command = lastseen(directory.path(), &["demo", "--listen", "127.0.0.1:0"]);
    command.env("TMPDIR", &temporary);
    let server = Server::of(command, directory.path());
    let name = server.line().strip_prefix("name: ").unwrap().to_owned();
    let password = server.line().strip_prefix("password: ").unwrap().to_owned();
    let token = server.sign_in(&name, &password);
    let bearer = format!("Bearer {token}");
    let answer = server.request("GET", "/api/v1/sessions", &[("authorization", &bearer)], "");
    let sessions = answer.json()["sessions"].as_array().unwrap().clone();
    assert!(sessions.len() > 12, "{}", sessions.len());

    let names = |of: &str| -> HashSet<String> {
        let named = sessions
            .iter()
            .filter_map(|session| session[of]["name"].as_str());
        named.map(str::to_owned).collect()
    };
    let systems = names("operating_system");
    for system in [
        "Windows", "macOS", "Linux", "Android", "iOS", "iPadOS", "ChromeOS",
    ] {
        assert!(systems.contains(system), "{system} is not in {systems:?}");
    }
    let browsers = names("browser");
    for browser in [
        "Chrome",
        "Firefox",
        "Safari",
        "Edge",
        "Opera",
        "Samsung Internet",
        "curl",
    ] {
        assert!(
            browsers.contains(browser),
            "{browser} is not in {browsers:?}"
        );
    }
    let any = |wanted: &dyn Fn(&serde_json::Value) -> bool| sessions.iter().any(wanted);
    assert!(any(&|session| session["user_agent"] == "Unknown device"));
    assert!(any(&|session| session["current"] == true));
    assert!(any(&|session| session["status"] == "expired"));
    let left = |session: &serde_json::Value| session["time_left_seconds"].as_u64().unwrap();
    assert!(any(
        &|session| session["status"] == "active" && left(session) < 15 * 60
    ));

    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 1);
    assert_eq!(server.stop().0.code(), Some(0));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}

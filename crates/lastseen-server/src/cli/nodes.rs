//! `lastseen nodes`.

use std::time::Duration;

use lastseen_postgres::Facts;
use serde::Serialize;

use super::Output;
use super::text::table;
use crate::config::Effective;
use crate::failure::{Failure, plain};
use crate::storage::{Role, Storage};

/// Prints a line a node.
pub(super) fn run(json: bool, effective: &Effective) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::refused(format_args!("no thread can be started: {}", plain(&error)))
        })?;
    let nodes = runtime.block_on(async {
        let storage = Storage::open(effective, Role::Command).await?;
        let nodes = storage.nodes().await;
        storage.close().await;
        nodes
    })?;
    let mut output = Output::new();
    if json {
        let nodes: Vec<Shown<'_>> = nodes.iter().map(Shown::of).collect();
        let text = serde_json::to_string_pretty(&nodes)
            .map_err(|error| Failure::refused(format_args!("the nodes cannot be told: {error}")))?;
        output.line(&text)?;
    } else {
        let rows: Vec<Vec<String>> = nodes.iter().map(row).collect();
        output.text(&table(&HEAD, &rows))?;
    }
    output.flush()
}

/// A node, for programs. Durations are in seconds.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    name: &'a str,
    version: &'a str,
    status: &'static str,
    lease_seconds: f64,
    lease_left_seconds: f64,
    running_for_seconds: f64,
    renewed_seconds_ago: f64,
    acknowledged_seconds_ago: Option<f64>,
    changes_behind: u64,
    holds_up_terminations: bool,
    registrations: u64,
    waited_out: u64,
}

impl<'a> Shown<'a> {
    fn of(node: &'a Facts) -> Self {
        Self {
            id: &node.id,
            name: &node.name,
            version: &node.version,
            status: status(node),
            lease_seconds: node.lease.as_secs_f64(),
            lease_left_seconds: node.lease_left().as_secs_f64(),
            running_for_seconds: node.running_for.as_secs_f64(),
            renewed_seconds_ago: node.renewed_before.as_secs_f64(),
            acknowledged_seconds_ago: node.acknowledged_before.map(|ago| ago.as_secs_f64()),
            changes_behind: node.behind,
            holds_up_terminations: node.holds_up(),
            registrations: node.registrations,
            waited_out: node.waited_out,
        }
    }
}

const HEAD: [&str; 8] = [
    "NAME",
    "VERSION",
    "STATUS",
    "LEASE LEFT",
    "RENEWED",
    "ACKNOWLEDGED",
    "RUNNING FOR",
    "ID",
];

fn row(node: &Facts) -> Vec<String> {
    let ago = |ago: Duration| format!("{} ago", short(ago));
    vec![
        node.name.clone(),
        node.version.clone(),
        status(node).to_owned(),
        format!("{} of {}", short(node.lease_left()), short(node.lease)),
        ago(node.renewed_before),
        node.acknowledged_before
            .map_or_else(|| "never".to_owned(), ago),
        short(node.running_for),
        node.id.clone(),
    ]
}

/// What an operator has to know first.
fn status(node: &Facts) -> &'static str {
    if node.lease_left().is_zero() {
        // Nobody waits for it any longer than until now; the next termination forgets it.
        "silent"
    } else if !node.current {
        "of another primary"
    } else if node.holds_up() {
        "holds terminations up"
    } else {
        "leased"
    }
}

/// A duration in its largest two units, or in milliseconds where it is short.
fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes, seconds) {
        (0, 0, 0, 0..10) => format!("{} ms", duration.as_millis()),
        (0, 0, 0, _) => format!("{seconds} s"),
        (0, 0, minutes, _) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(renewed_before: Duration, behind: u64) -> Facts {
        Facts {
            id: "7".to_owned(),
            name: "a\u{1b}b".to_owned(),
            version: "0.1.0".to_owned(),
            lease: Duration::from_secs(1),
            registrations: 1,
            running_for: Duration::from_secs(90_061),
            renewed_before,
            acknowledged_before: None,
            waited_out: 0,
            current: true,
            behind,
        }
    }

    #[test]
    fn the_status_says_which_node_terminations_wait_for() {
        let milliseconds = Duration::from_millis;
        assert_eq!(status(&node(milliseconds(10), 0)), "leased");
        assert_eq!(status(&node(milliseconds(10), 3)), "leased");
        assert_eq!(status(&node(milliseconds(700), 3)), "holds terminations up");
        assert_eq!(status(&node(milliseconds(1_500), 3)), "silent");
    }

    #[test]
    fn a_line_tells_how_a_node_does_and_obeys_no_name() {
        let rows = vec![row(&node(Duration::from_millis(250), 0))];
        let text = table(&HEAD, &rows);
        let line = text.lines().nth(1).unwrap();
        assert!(
            line.starts_with("a\\u{1b}b  0.1.0    leased  750 ms of 1000 ms  250 ms ago"),
            "{line}"
        );
        assert!(line.contains("never"), "{line}");
        assert!(line.contains("1 d 1 h"), "{line}");
    }
}

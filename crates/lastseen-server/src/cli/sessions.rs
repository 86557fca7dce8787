//! `lastseen sessions …`.

use std::time::Duration;

use serde::Deserialize;

use super::arguments::SessionsCommand;
use super::text::table;
use super::{Output, ask};
use crate::config::Effective;
use crate::control::{self, Request, Response};
use crate::failure::Failure;

/// Rows of a table whose widths are worked out together. A table of more is printed in parts, each with columns of its
/// own width: a list of a million sessions does not have to fit into memory.
const ROWS_TOGETHER: usize = 1_000;

pub(super) fn run(command: SessionsCommand, effective: &Effective) -> Result<(), Failure> {
    match command {
        SessionsCommand::List { account, ip, json } => {
            let request = Request::ListSessions {
                account,
                network: ip,
            };
            if json {
                list_json(effective, request)
            } else {
                list_table(effective, request)
            }
        }
        SessionsCommand::Terminate {
            ids,
            account,
            all,
            yes,
        } => {
            let request = if all {
                if !yes {
                    ask::confirm("Terminate every session of every account?")?;
                }
                Request::TerminateEverything
            } else if let Some(name) = account {
                if !yes {
                    ask::confirm(&format!("Terminate every session of {name}?"))?;
                }
                Request::TerminateAccount { name }
            } else {
                Request::TerminateSessions { ids }
            };
            control::carry_out_and_say(effective, request)
        }
    }
}

/// One JSON array, written as it arrives.
fn list_json(effective: &Effective, request: Request) -> Result<(), Failure> {
    let mut output = Output::new();
    let mut separator = "[\n";
    control::carry_out(effective, request, |row| {
        if let Response::Session { session } = row {
            output.text(separator)?;
            output.text(session.get())?;
            separator = ",\n";
        }
        Ok(())
    })?;
    output.text(if separator == "[\n" { "[]\n" } else { "\n]\n" })?;
    output.flush()
}

const HEAD: [&str; 7] = [
    "ID",
    "ACCOUNT",
    "DEVICE",
    "ADDRESS",
    "LAST UPDATED",
    "EXPIRES AT",
    "TIME LEFT",
];

fn list_table(effective: &Effective, request: Request) -> Result<(), Failure> {
    let mut output = Output::new();
    let mut rows = Vec::new();
    let mut printed = false;
    control::carry_out(effective, request, |row| {
        if let Response::Session { session } = row {
            let session: Shown = serde_json::from_str(session.get()).map_err(|error| {
                Failure::refused(format_args!("a session cannot be read: {error}"))
            })?;
            rows.push(session.into_row());
            if rows.len() == ROWS_TOGETHER {
                output.text(&table(&HEAD, &rows))?;
                rows.clear();
                printed = true;
            }
        }
        Ok(())
    })?;
    if !rows.is_empty() || !printed {
        output.text(&table(&HEAD, &rows))?;
    }
    output.flush()
}

/// What the table shows of a session.
#[derive(Deserialize)]
struct Shown {
    id: String,
    account: ShownAccount,
    user_agent: String,
    ip_address: Option<String>,
    last_updated: String,
    expires_at: String,
    time_left_seconds: u64,
    status: String,
}

#[derive(Deserialize)]
struct ShownAccount {
    name: String,
}

impl Shown {
    fn into_row(self) -> Vec<String> {
        let time_left = if self.status == "expired" {
            "expired".to_owned()
        } else {
            time_left(Duration::from_secs(self.time_left_seconds))
        };
        vec![
            self.id,
            self.account.name,
            self.user_agent,
            self.ip_address.unwrap_or_else(|| "-".to_owned()),
            to_the_second(&self.last_updated),
            to_the_second(&self.expires_at),
            time_left,
        ]
    }
}

/// An instant without its fraction of a second: `2026-11-24T09:00:00Z`.
fn to_the_second(instant: &str) -> String {
    match instant.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => instant.to_owned(),
    }
}

/// Days, hours and minutes, rounded down, as on the page.
fn time_left(left: Duration) -> String {
    let minutes = left.as_secs() / 60;
    let (days, hours, minutes) = (minutes / (24 * 60), minutes / 60 % 24, minutes % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => "less than a minute".to_owned(),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, minutes) => format!("{days} d {hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_in_days_hours_and_minutes_rounded_down() {
        let shown = |seconds| time_left(Duration::from_secs(seconds));
        assert_eq!(shown(59), "less than a minute");
        assert_eq!(shown(119), "1 min");
        assert_eq!(shown(3_600), "1 h 0 min");
        assert_eq!(
            shown(2 * 86_400 + 4 * 3_600 + 13 * 60 + 59),
            "2 d 4 h 13 min"
        );
    }

    #[test]
    fn instants_are_shown_to_the_second() {
        assert_eq!(
            to_the_second("2026-11-24T09:00:00.123Z"),
            "2026-11-24T09:00:00Z"
        );
        assert_eq!(
            to_the_second("2026-11-24T09:00:00Z"),
            "2026-11-24T09:00:00Z"
        );
    }
}

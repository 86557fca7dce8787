//! How a command fails: one clear line on stderr, and an exit status.

use std::fmt;
use std::process::ExitCode;

use crate::cli::text::visible;

/// Why a command did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    line: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It was refused, or it failed: exit status 1.
    Refused,
    /// It was asked for in a wrong way: exit status 2.
    Usage,
    /// Whoever read the output has read enough: no line, and exit status 0.
    OutputClosed,
}

impl Failure {
    /// A refusal or a failure, with one line that says why.
    pub fn refused(line: impl fmt::Display) -> Self {
        Self {
            line: visible(&line.to_string()).into_owned(),
            kind: Kind::Refused,
        }
    }

    /// Wrong usage, with one line that says what is wrong. Several things that are wrong may be several lines.
    pub fn usage(line: impl fmt::Display) -> Self {
        Self {
            line: line.to_string(),
            kind: Kind::Usage,
        }
    }

    /// What it means that output could not be written: nothing more to do where the reader has gone, as in
    /// `lastseen sessions list | head`, and a failure otherwise.
    pub fn output(error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self {
                line: String::new(),
                kind: Kind::OutputClosed,
            }
        } else {
            Self::refused(format_args!(
                "the output cannot be written: {}",
                plain(error)
            ))
        }
    }

    /// The line, without the name of the program.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Says on stderr what went wrong and answers with the exit status.
    pub fn report(&self) -> ExitCode {
        use std::io::Write as _;
        let status = match self.kind {
            Kind::OutputClosed => return ExitCode::SUCCESS,
            Kind::Refused => 1,
            Kind::Usage => 2,
        };
        let mut stderr = std::io::stderr().lock();
        for line in self.line.lines() {
            // With stderr closed as well there is nobody left to tell; the status still says it.
            _ = writeln!(stderr, "lastseen: {line}");
        }
        ExitCode::from(status)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.line)
    }
}

impl std::error::Error for Failure {}

impl From<Vec<crate::config::Wrong>> for Failure {
    /// The first thing that is wrong: one line, as the contract says. `check-config` shows them all.
    fn from(wrong: Vec<crate::config::Wrong>) -> Self {
        Self::usage(wrong.first().map(ToString::to_string).unwrap_or_default())
    }
}

/// An error of the operating system in a person's words, without its number.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().collect::<String>() + letters.as_str())
        .unwrap_or_default()
}

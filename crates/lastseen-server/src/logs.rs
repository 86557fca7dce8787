//! The log: lines on stderr, for people or for programs, written off the request path.

mod buffer;
mod request_line;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogFormat;
use buffer::{Lines, Worker};

pub(crate) use request_line::RequestLine;

/// Keeps the log running; what waits is written when it is dropped.
#[derive(Debug)]
pub struct Logs {
    _worker: Worker,
    requests: RequestLog,
    level: Level,
}

impl Logs {
    /// Where the lines of requests go.
    pub(crate) fn requests(&self) -> RequestLog {
        self.requests.clone()
    }

    /// What changes how much is logged.
    pub fn level(&self) -> Level {
        self.level.clone()
    }
}

/// Where the lines of requests go: among all other lines, if lines of their weight are wanted.
#[derive(Clone, Debug)]
pub(crate) struct RequestLog {
    lines: Lines,
    format: LogFormat,
    /// Whether they are wanted. Asking the subscriber costs as much as writing the line.
    wanted: Arc<AtomicBool>,
}

/// The weight of a request's line.
const OF_REQUESTS: tracing::Level = tracing::Level::INFO;

impl RequestLog {
    /// Adds the line of a request.
    pub(crate) fn add(&self, line: &RequestLine<'_>) {
        // Relaxed: after a change a few lines more or less do not matter.
        if self.wanted.load(Ordering::Relaxed) {
            self.lines.add(|out| match self.format {
                LogFormat::Text => line.write_text(out),
                LogFormat::Json => line.write_json(out),
            });
        }
    }
}

/// How much is logged, of a log that runs.
#[derive(Debug, Clone)]
pub struct Level {
    targets: Handle<Targets, Registry>,
    requests_wanted: Arc<AtomicBool>,
}

impl Level {
    /// Logs what weighs this much or more from now on.
    pub fn set(&self, level: tracing::Level) {
        self.requests_wanted
            .store(level >= OF_REQUESTS, Ordering::Relaxed);
        // It fails only where there is no log any more, and then nobody misses a line.
        _ = self.targets.reload(targets(level));
    }
}

/// Begins to log to stderr.
///
/// # Errors
/// Where this process logs already.
pub fn start(format: LogFormat, level: tracing::Level) -> io::Result<Logs> {
    let (lines, worker) = Lines::to(io::stderr())?;
    let (targets, handle) = reload::Layer::new(targets(level));
    let registry = tracing_subscriber::registry().with(targets);
    let layer = tracing_subscriber::fmt::layer().with_writer(lines.clone());
    let started = match format {
        LogFormat::Text => registry
            .with(layer.with_ansi(false).with_target(false))
            .try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    started.map_err(io::Error::other)?;
    log_panics();
    let wanted = Arc::new(AtomicBool::new(level >= OF_REQUESTS));
    Ok(Logs {
        _worker: worker,
        requests: RequestLog {
            lines,
            format,
            wanted: Arc::clone(&wanted),
        },
        level: Level {
            targets: handle,
            requests_wanted: wanted,
        },
    })
}

/// Libraries talk about their own affairs below warnings; a person who asks for more wants to hear about ours.
fn targets(level: tracing::Level) -> Targets {
    Targets::new()
        .with_default(LevelFilter::from_level(level.min(tracing::Level::WARN)))
        .with_target("lastseen", level)
}

/// A panic is a fault of ours; it goes where all other lines go.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str();
        tracing::error!(target: "lastseen", place, message, "a fault in the program; please report it");
    }));
}

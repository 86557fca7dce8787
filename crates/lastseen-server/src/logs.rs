//! The log: lines on stderr, for people or for programs, written off the request path.

use std::io;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogFormat;

/// Lines that wait to be written. When whoever reads stderr is slower than that, lines are dropped rather than
/// requests held up; at 200 bytes a line they take 3 MB.
const WAITING_LINES: usize = 16 * 1024;

/// Keeps the log running; what waits is written when it is dropped.
#[derive(Debug)]
pub struct Logs {
    _worker: WorkerGuard,
    level: Level,
}

impl Logs {
    /// What changes how much is logged.
    pub fn level(&self) -> Level {
        self.level.clone()
    }
}

/// How much is logged, of a log that runs.
#[derive(Debug, Clone)]
pub struct Level {
    targets: Handle<Targets, Registry>,
}

impl Level {
    /// Logs what weighs this much or more from now on.
    pub fn set(&self, level: tracing::Level) {
        // It fails only where there is no log any more, and then nobody misses a line.
        _ = self.targets.reload(targets(level));
    }
}

/// Begins to log to stderr.
///
/// # Errors
/// Where this process logs already.
pub fn start(format: LogFormat, level: tracing::Level) -> io::Result<Logs> {
    let (writer, worker) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("lastseen-log")
        .finish(io::stderr());
    let (targets, handle) = reload::Layer::new(targets(level));
    let registry = tracing_subscriber::registry().with(targets);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let started = match format {
        LogFormat::Text => registry
            .with(layer.with_ansi(false).with_target(false))
            .try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    started.map_err(io::Error::other)?;
    log_panics();
    Ok(Logs {
        _worker: worker,
        level: Level { targets: handle },
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

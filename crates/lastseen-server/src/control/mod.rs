//! Commands beside a running server.
//!
//! One process owns a database: it holds its lock from start to end (`lastseen_sqlite::Database` does) and listens on
//! the socket `<database>.sock`, which only its user can open. A command first tries the lock. Where it is free, no server runs,
//! and the command does its work itself. Where it is held, the command hands its request to the owner, which carries it
//! out with its own cache and store: what was done counts from the server's next request on, and no cache can lag.
//!
//! A server that is frozen must not carry out later what the person at the terminal has long given up on. So the
//! server speaks first: it sends a greeting, and the command sends its request only after that. A frozen server sends
//! no greeting and so never receives a request. One that freezes between the two looks, before it carries a request
//! out, whether the command still waits.
//!
//! - `message.rs`: requests and answers.
//! - `execute.rs`: what a request does; the same code on both ways.
//! - `address.rs`: where the owner of a database listens.
//! - `server.rs`, `client.rs`: the two ends of the socket. One JSON object a line.

pub(crate) mod address;
pub(crate) mod client;
pub(crate) mod execute;
pub mod message;
pub(crate) mod server;
#[cfg(test)]
mod tests;

pub use message::{Request, Response};

use std::time::Duration;

use crate::cli::output::Output;
use crate::cli::text::visible;
use crate::config::Effective;
use crate::failure::{Failure, plain};

/// The version of what is said on the socket. A command of another version is told so instead of being misunderstood.
const PROTOCOL: u32 = 1;

/// Longest silence that either end puts up with. A person who waits for 10 s wants to know that something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the owner says that it is still at work: a backup of a large database takes longer than anybody's patience.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// Longest line that is sent. The largest request names every session that fits on a command line.
const LONGEST_LINE: usize = 1 << 20;

/// Carries a request out, beside a running server or alone, hands each row of the answer to `row`, and answers with what
/// there is to say about it.
pub(crate) fn carry_out(
    effective: &Effective,
    request: Request,
    row: impl FnMut(Response) -> Result<(), Failure>,
) -> Result<Option<String>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::refused(format_args!("no thread can be started: {}", plain(&error)))
    })?;
    runtime.block_on(client::carry_out(effective, request, row))
}

/// Carries a request out that has no rows, and prints what there is to say about it.
pub(crate) fn carry_out_and_say(effective: &Effective, request: Request) -> Result<(), Failure> {
    let line = carry_out(effective, request, |_| Ok(()))?;
    let mut output = Output::new();
    if let Some(line) = line {
        output.line(&visible(&line))?;
    }
    output.flush()
}

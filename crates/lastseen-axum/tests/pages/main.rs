//! The sessions page as a browser without a script sees it, and what the script relies on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

mod list;
mod terminate;

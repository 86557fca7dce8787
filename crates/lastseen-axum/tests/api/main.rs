//! The sessions API as its callers see it. A file per request, as in `src/api`, and one for what holds of every request.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

mod delete;
mod every_request;
mod list;
mod session;
mod sign_out;
mod terminate;
mod terminate_others;

//! What a session is and may do.
//!
//! A session is one sign-in of one account on one device. This crate creates, validates, lists, expires
//! and terminates them, over any store, and keeps one promise: **when a session was terminated, it is
//! refused from then on**, at the speed of memory.
//!
//! There is no HTTP here, no SQL, no clock and no randomness: time and entropy come in from the edge.
//!
//! # Map
//! | room | what lives there |
//! | --- | --- |
//! | [`account`] | whose sessions they are |
//! | [`session`] | the session, its id, its status, its end |
//! | [`token`] | secrets that authenticate, and what is kept of them |
//! | [`device`] | operating system and browser, from what a client says of itself |
//! | [`policy`] | idle timeout and absolute lifetime; the only place that works out a deadline |
//! | [`store`] | what a store must do, and one in memory |
//! | `conformance` | the tests that every store must pass (feature `conformance`) |
//! | [`sessions`] | the verbs, the one way in, and the cache that makes `validate` fast |
//! | [`time`] | instants; the shape of a clock and of a source of randomness |

pub mod account;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod device;
pub mod policy;
pub mod session;
pub mod sessions;
pub mod store;
pub mod time;
pub mod token;

pub use account::{Account, AccountId, AccountKey, AccountSource, ApplicationId};
pub use device::{ClientDescription, ClientHints, Device, DeviceParser, Product};
pub use policy::{Policy, Settings};
pub use session::{EndedBy, Ending, Session, SessionId, SessionView, Status, Visit};
pub use sessions::{
    Created, Cursor, NewSession, Overview, Page, Refusal, Scan, Sessions, Statistics,
    TerminateError, Tidied, Verdict, to_the_end,
};
pub use store::{Authority, Change, Follower, Lease, Store, Term, Unavailable};
pub use time::{Clock, Entropy, Timestamp};
pub use token::SessionToken;

/// Its examples are tested like all others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

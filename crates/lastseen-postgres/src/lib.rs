//! The store of Lastseen for several nodes: sessions in one PostgreSQL database that all of them share.
//!
//! # Map
//! | file | what lives there |
//! | --- | --- |
//! | `address.rs`, `tls.rs` | [`Address`]: where the database is, who is trusted to be it |
//! | `database.rs` | [`Database`]: the pool, time bounds, [`Database::change`] |
//! | `database/connector.rs` | how connections are made, past PgBouncer too |
//! | `database/transaction.rs` | [`Transaction`]: statements that stand or fall together |
//! | `patience.rs` | [`one_request`]: how long a request may wait, in all |
//! | `confirm.rs` | [`Confirm`]: between a commit and its answer, the other nodes |
//! | `node.rs`, `node/` | [`Nodes`]: this process among others, its lease, and whom its changes wait for |
//! | `migration.rs`, `migrations/` | numbered steps, several sets of them, never edited |
//! | `store.rs`, `store/` | [`PostgresStore`]: sessions as rows; every statement is in `store/statements.rs` |
//! | `error.rs` | [`Error`] of a statement, [`OpenError`] of a database, [`AddressError`] |
//! | `testing.rs` | a PostgreSQL of the tests' own (feature `testing`) |
//!
//! # What holds
//! - **Durable, then answered**, whatever the database's own settings say.
//! - **A change reaches every node before it is answered**: see [`Database::change`].
//! - **Everything ends in time**: a database out of reach is [`Error`] within [`Options::patience`], however often
//!   [one request](one_request) asks.
//! - **Nodes of several versions share a database**: migrations only add, or say that they do not.
//! - No randomness, and no clock but the one that leases go by: times come from the caller.

mod address;
mod confirm;
mod database;
mod error;
mod migration;
mod node;
mod patience;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tls;

pub use address::{Address, Stream};
pub use confirm::{Committed, Confirm, NobodyElse, Xid};
pub use database::{Database, Durability, Options, Parameter, Transaction};
pub use error::{AddressError, Error, OpenError};
pub use migration::{Migration, MigrationSet};
pub use node::{Facts, Figures, Histogram, Length, NodeOptions, Nodes, Notify};
pub use patience::{OneRequest, one_request};
pub use store::PostgresStore;
/// The library whose rows and types the statements speak of.
pub use tokio_postgres;

/// Its examples are tested like all others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

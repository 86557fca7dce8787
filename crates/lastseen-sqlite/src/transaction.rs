//! The transaction that jobs work in.

use std::ops::Deref;

use rusqlite::{Connection, Result};

/// A transaction of a [`Database`](crate::Database), that jobs work in. What it lends of its connection neither begins
/// nor ends one.
///
/// Other than rusqlite's it keeps the commands that begin and end it compiled: to compile them took as long as a look-up
/// by key.
#[derive(Debug)]
pub struct Transaction<'connection> {
    connection: &'connection Connection,
}

impl<'connection> Transaction<'connection> {
    /// Begins one that only reads: it sees the state of its first look.
    pub(crate) fn reading(connection: &'connection Connection) -> Result<Self> {
        Self::begin(connection, "BEGIN DEFERRED")
    }

    /// Begins one that writes.
    pub(crate) fn writing(connection: &'connection Connection) -> Result<Self> {
        Self::begin(connection, "BEGIN IMMEDIATE")
    }

    fn begin(connection: &'connection Connection, command: &str) -> Result<Self> {
        connection.prepare_cached(command)?.execute([])?;
        Ok(Self { connection })
    }

    /// Puts its changes on the disk. Where that fails there are none.
    pub(crate) fn commit(self) -> Result<()> {
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Undoes its changes.
    pub(crate) fn rollback(self) -> Result<()> {
        self.undo()
    }

    fn undo(&self) -> Result<()> {
        // Some faults make SQLite undo it by itself.
        if !self.connection.is_autocommit() {
            self.connection.prepare_cached("ROLLBACK")?.execute([])?;
        }
        Ok(())
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // After its commit there is nothing to undo. Where undoing fails, the next begin fails too, and says so.
        let _ = self.undo();
    }
}

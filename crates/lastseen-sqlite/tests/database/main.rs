//! The database as its users meet it: a file that is opened, written, filled up, killed and copied.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod backup;
mod faults;
mod killed;
mod migrations;
mod opening;
mod writing;

use std::path::PathBuf;
use std::sync::mpsc;

use lastseen_sqlite::Transaction;
use lastseen_sqlite::{Database, Error, Migration, MigrationSet, OpenError, Options};
use tempfile::TempDir;

/// A table for the tests: notes, in the order in which they were written.
const NOTES: MigrationSet = MigrationSet {
    name: "notes",
    migrations: &[
        Migration {
            name: "notes",
            sql: "CREATE TABLE note (number INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT",
        },
        Migration {
            name: "unique",
            sql: "CREATE UNIQUE INDEX note_by_text ON note (text)",
        },
    ],
};

/// A folder of its own for each test, and the path of a database in it.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    (folder, path)
}

fn open(path: impl AsRef<std::path::Path>) -> Result<Database, OpenError> {
    Database::open(path, &[NOTES], Options::default())
}

/// A job that writes one note.
fn note(text: &str) -> impl FnOnce(&Transaction<'_>) -> Result<(), Error> + Send + use<> {
    let text = text.to_owned();
    move |transaction| {
        transaction
            .prepare_cached("INSERT INTO note (text) VALUES (?1)")?
            .execute([text])?;
        Ok(())
    }
}

/// Every note, in order.
async fn notes(database: &Database) -> Vec<String> {
    let read = database.read(|transaction| {
        let mut statement = transaction.prepare_cached("SELECT text FROM note ORDER BY number")?;
        let texts = statement.query_map([], |row| row.get(0))?;
        Ok(texts.collect::<Result<_, _>>()?)
    });
    read.await.unwrap()
}

/// Lets other tasks go on until `condition` holds.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

/// Keeps the writer busy with one job until the answer is sent.
fn hold_writer(database: &Database) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel();
    let (started, has_started) = mpsc::channel();
    let database = database.clone();
    tokio::spawn(async move {
        database
            .write(move |_| {
                started.send(()).unwrap();
                released.recv().unwrap();
                Ok(())
            })
            .await
    });
    // The writer has taken the job off the queue, so the queue is empty.
    tokio::task::block_in_place(|| has_started.recv().unwrap());
    release
}

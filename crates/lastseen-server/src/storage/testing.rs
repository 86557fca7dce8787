//! Databases of tests, one of each kind.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use lastseen_postgres::testing::{Cluster, TestDatabase};
use tempfile::TempDir;

use super::{Role, Storage};
use crate::config::{Effective, Typed};
use crate::failure::Failure;

/// The kinds of databases that there are. What a test says of stores, it says of each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// A new database, open, which vanishes with this.
pub(crate) struct TestStorage {
    pub(crate) storage: Storage,
    place: Place,
}

enum Place {
    Folder(TempDir),
    Database(TestDatabase<'static>),
    /// Another test storage's, by its URL.
    Elsewhere(String),
}

impl Place {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => Self::Folder(tempfile::tempdir().unwrap()),
            Kind::Postgres => Self::Database(cluster().database()),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Folder(folder) => format!("sqlite:{}/test.db", folder.path().display()),
            Self::Database(database) => database.url(),
            Self::Elsewhere(url) => url.clone(),
        }
    }
}

impl TestStorage {
    pub(crate) async fn new(kind: Kind) -> Self {
        Self::open(Place::new(kind)).await
    }

    /// The same after a restart.
    pub(crate) async fn reopened(self) -> Self {
        self.storage.close().await;
        Self::open(self.place).await
    }

    async fn open(place: Place) -> Self {
        let storage = Storage::open(&settings(&place.url()), Role::Command).await;
        Self {
            storage: storage.unwrap(),
            place,
        }
    }

    /// Why it cannot be opened; it stays as it is.
    pub(crate) async fn open_refused(&self) -> String {
        let elsewhere = tempfile::tempdir().unwrap();
        let mut url = self.place.url();
        if matches!(self.place, Place::Folder(_)) {
            // This one has the file open, so a copy of it is looked at.
            let copied = elsewhere.path().join("test.db");
            self.storage.back_up(&copied).await.unwrap();
            url = format!("sqlite:{}", copied.display());
        }
        let refused = Storage::open(&settings(&url), Role::Command).await;
        Failure::from(refused.err().unwrap()).line().to_owned()
    }

    /// The same database, opened by another node; it vanishes with the first.
    pub(crate) async fn another(&self) -> Self {
        let place = Place::Elsewhere(self.place.url());
        Self::open(place).await
    }

    /// The folder of the file.
    pub(crate) fn folder(&self) -> &Path {
        match &self.place {
            Place::Folder(folder) => folder.path(),
            place => panic!("{} is no file", place.url()),
        }
    }

    /// How many rows a table has.
    pub(crate) fn rows(&self, table: &str) -> i64 {
        let statement = format!("SELECT count(*) FROM {table}");
        match &self.place {
            Place::Folder(folder) => connection(folder)
                .query_row(&statement, [], |row| row.get(0))
                .unwrap(),
            Place::Database(database) => database.psql(&statement).parse().unwrap(),
            Place::Elsewhere(url) => panic!("ask the owner of {url}"),
        }
    }

    /// Has every update of a table refused, as on a disk that is full.
    pub(crate) fn refuse_updates(&self, table: &str) {
        match &self.place {
            Place::Folder(folder) => connection(folder)
                .execute_batch(&format!(
                    "CREATE TRIGGER no_room BEFORE UPDATE ON {table}
                     BEGIN SELECT RAISE(ABORT, 'no room'); END"
                ))
                .unwrap(),
            Place::Database(database) => {
                database.psql(&format!(
                    "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN RAISE EXCEPTION 'no room'; END $$;
                     CREATE TRIGGER no_room BEFORE UPDATE ON {table}
                     FOR EACH ROW EXECUTE FUNCTION no_room()"
                ));
            }
            Place::Elsewhere(url) => panic!("ask the owner of {url}"),
        }
    }
}

/// The defaults, over a database.
pub(crate) fn settings(database: &str) -> Effective {
    let flags = BTreeMap::from([("database", vec![database.to_owned()])]);
    Effective::work_out(Typed::gather(flags, &BTreeMap::new(), None).unwrap()).unwrap()
}

/// The server of all tests. None of them is about the disk, so nothing is flushed to it.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(&["fsync=off", "full_page_writes=off"]))
}

/// A connection of a test's own, beside the program's.
fn connection(folder: &TempDir) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.path().join("test.db")).unwrap()
}

//! Numbered steps from any earlier state, and refusal of what is newer.

use std::fs;

use lastseen_sqlite::{Database, Migration, MigrationSet, OpenError, Options, SqliteStore};

use super::{NOTES, folder, note, notes, open};

#[tokio::test]
async fn every_set_is_migrated_from_each_of_its_earlier_states() {
    for set in [NOTES, SqliteStore::MIGRATIONS] {
        for earlier in 0..set.migrations.len() {
            let (_folder, path) = folder();
            let database =
                Database::open(&path, &[set.first(earlier)], Options::default()).unwrap();
            database.close().await;
            let database = Database::open(&path, &[set], Options::default()).unwrap();
            database.health().await.unwrap();
        }
    }
}

#[tokio::test]
async fn rows_survive_a_migration() {
    let (_folder, path) = folder();
    let database = Database::open(&path, &[NOTES.first(1)], Options::default()).unwrap();
    database.write(note("before")).await.unwrap();
    database.close().await;
    let database = open(&path).unwrap();
    assert_eq!(notes(&database).await, ["before"]);
}

#[tokio::test]
async fn sets_are_migrated_independently_of_each_other() {
    let (_folder, path) = folder();
    Database::open(&path, &[NOTES.first(1)], Options::default())
        .unwrap()
        .close()
        .await;
    let sets = [SqliteStore::MIGRATIONS, NOTES];
    Database::open(&path, &sets, Options::default())
        .unwrap()
        .close()
        .await;
    Database::open(&path, &sets, Options::default())
        .unwrap()
        .close()
        .await;
}

#[tokio::test]
async fn a_newer_database_is_refused_with_both_numbers_and_nothing_changed() {
    let (_folder, path) = folder();
    let database = open(&path).unwrap();
    database.write(note("first")).await.unwrap();
    database.close().await;
    let before = fs::read(&path).unwrap();
    for (set, known) in [(vec![NOTES.first(1)], 1), (vec![], 0)] {
        let error = Database::open(&path, &set, Options::default()).unwrap_err();
        assert!(
            matches!(error, OpenError::Newer { found: 2, known: same, .. } if same == known),
            "{error}"
        );
        assert_eq!(
            error.to_string(),
            format!(
                "{}: was written by a newer version: its notes are at migration 2, this program knows up to {known}",
                fs::canonicalize(&path).unwrap().display()
            )
        );
        assert_eq!(fs::read(&path).unwrap(), before);
    }
    assert_eq!(notes(&open(&path).unwrap()).await, ["first"]);
}

#[tokio::test]
async fn a_migration_that_was_edited_after_it_was_applied_is_noticed() {
    const EDITED: MigrationSet = MigrationSet {
        name: "notes",
        migrations: &[
            Migration {
                name: "notes",
                sql: "CREATE TABLE note (number INTEGER PRIMARY KEY, text TEXT) STRICT",
            },
            NOTES.migrations[1],
        ],
    };
    let (_folder, path) = folder();
    open(&path).unwrap().close().await;
    let error = Database::open(&path, &[EDITED], Options::default()).unwrap_err();
    assert!(
        matches!(error, OpenError::OtherMigration { number: 1, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_one_before() {
    const FAILING: MigrationSet = MigrationSet {
        name: "notes",
        migrations: &[
            NOTES.migrations[0],
            Migration {
                name: "failing",
                sql: "DELETE FROM note; INSERT INTO nowhere VALUES (1)",
            },
        ],
    };
    let (_folder, path) = folder();
    let database = Database::open(&path, &[NOTES.first(1)], Options::default()).unwrap();
    database.write(note("kept")).await.unwrap();
    database.close().await;
    Database::open(&path, &[FAILING], Options::default()).unwrap_err();
    assert_eq!(notes(&open(&path).unwrap()).await, ["kept"]);
}

#[tokio::test]
async fn a_migration_that_leaves_rows_without_what_they_refer_to_is_undone() {
    const ORPHANS: MigrationSet = MigrationSet {
        name: "orphans",
        migrations: &[Migration {
            name: "orphans",
            sql: "CREATE TABLE parent (number INTEGER PRIMARY KEY) STRICT;
                  CREATE TABLE child (parent INTEGER NOT NULL REFERENCES parent (number)) STRICT;
                  INSERT INTO child VALUES (7)",
        }],
    };
    let (_folder, path) = folder();
    let error = Database::open(&path, &[ORPHANS], Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    open(&path).unwrap();
}

//! What may be opened, and by whom.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lastseen_sqlite::rusqlite::Connection;
use lastseen_sqlite::{OpenError, resolve};

use super::{folder, note, notes, open};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_database_is_made_where_there_is_none_and_keeps_what_was_written() {
    let (_folder, path) = folder();
    let database = open(&path).unwrap();
    database.write(note("first")).await.unwrap();
    database.close().await;
    let database = open(&path).unwrap();
    assert_eq!(notes(&database).await, ["first"]);
}

#[tokio::test]
async fn an_empty_file_counts_as_no_database() {
    let (_folder, path) = folder();
    fs::write(&path, "").unwrap();
    let database = open(&path).unwrap();
    database.write(note("first")).await.unwrap();
    assert_eq!(notes(&database).await, ["first"]);
}

#[tokio::test]
async fn only_its_owner_can_read_the_database_and_what_belongs_to_it() {
    let (folder, path) = folder();
    let database = open(&path).unwrap();
    database.write(note("first")).await.unwrap();
    let names = ["notes.db", "notes.db-wal", "notes.db-shm", "notes.db.lock"];
    for name in names {
        assert_eq!(mode(&folder.path().join(name)), 0o600, "{name}");
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        names.len(),
        "nothing else is left there"
    );
}

#[tokio::test]
async fn a_database_that_others_could_read_is_restricted_to_its_owner() {
    let (_folder, path) = folder();
    open(&path).unwrap().close().await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    let _database = open(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn a_database_in_use_is_refused_under_any_of_its_names_and_free_once_closed() {
    let (folder, path) = folder();
    let database = open(&path).unwrap();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let resolved = resolve(&path).unwrap();
    for name in [path.clone(), link, folder.path().join(".").join("notes.db")] {
        assert_eq!(
            open(&name).unwrap_err(),
            OpenError::InUse {
                path: resolved.clone()
            }
        );
    }
    database.close().await;
    let again = open(&path).unwrap();
    drop(again);
    open(&path).unwrap();
}

#[test]
fn a_missing_directory_is_named() {
    let (folder, _) = folder();
    let path = folder.path().join("nowhere").join("notes.db");
    let error = open(&path).unwrap_err();
    let directory = folder.path().join("nowhere");
    assert_eq!(
        error,
        OpenError::MissingDirectory {
            path: path.clone(),
            directory: directory.clone()
        }
    );
    assert_eq!(
        error.to_string(),
        format!(
            "{}: the directory {} does not exist",
            path.display(),
            directory.display()
        )
    );
    assert!(!directory.exists());
}

#[test]
fn a_file_where_a_directory_should_be_is_refused() {
    let (folder, _) = folder();
    fs::write(folder.path().join("file"), "text").unwrap();
    let path = folder.path().join("file").join("notes.db");
    assert_eq!(open(&path).unwrap_err(), OpenError::NotADirectory { path });
}

#[test]
fn a_directory_is_no_database() {
    let (folder, _) = folder();
    let path = fs::canonicalize(folder.path()).unwrap().join("notes.db");
    fs::create_dir(&path).unwrap();
    assert_eq!(open(&path).unwrap_err(), OpenError::NotAFile { path });
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let (_folder, path) = folder();
    for contents in ["x".repeat(10_000), "x".into(), "SQLite format 4".into()] {
        fs::write(&path, &contents).unwrap();
        let error = open(&path).unwrap_err();
        assert!(matches!(error, OpenError::NotADatabase { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), contents);
    }
}

#[test]
fn another_programs_database_is_refused_and_left_as_it_is() {
    let (folder, path) = folder();
    let other = Connection::open(&path).unwrap();
    other.pragma_update(None, "journal_mode", "WAL").unwrap();
    other
        .execute_batch("CREATE TABLE theirs (number INTEGER); INSERT INTO theirs VALUES (1)")
        .unwrap();
    let log = folder.path().join("notes.db-wal");
    let before = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
    let error = open(&path).unwrap_err();
    assert!(matches!(error, OpenError::OtherProgram { .. }), "{error}");
    assert!(
        error
            .to_string()
            .ends_with("is a database, but not Lastseen's")
    );
    assert_eq!((fs::read(&path).unwrap(), fs::read(&log).unwrap()), before);
}

#[tokio::test]
async fn a_database_whose_pages_are_overwritten_is_called_damaged() {
    let (_folder, path) = folder();
    open(&path).unwrap().close().await;
    let mut bytes = fs::read(&path).unwrap();
    bytes[200..].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let error = open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    assert!(!error.to_string().contains('\n'));
}

#[test]
fn the_log_of_a_database_that_is_gone_is_not_mixed_into_a_new_one() {
    let (folder, path) = folder();
    let log = fs::canonicalize(folder.path())
        .unwrap()
        .join("notes.db-wal");
    fs::write(&log, "what was committed last").unwrap();
    let error = open(&path).unwrap_err();
    assert!(
        matches!(&error, OpenError::Leftover { leftover, .. } if *leftover == log),
        "{error}"
    );
    assert!(!path.exists());
    assert_eq!(fs::read_to_string(&log).unwrap(), "what was committed last");
}

#[tokio::test]
async fn a_closed_database_is_one_file() {
    let (folder, path) = folder();
    let database = open(&path).unwrap();
    database.write(note("first")).await.unwrap();
    database.close().await;
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["notes.db", "notes.db.lock"]);
}

/// How many files of a folder this process has open.
fn open_files_in(folder: &Path) -> usize {
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|file| fs::read_link(file.unwrap().path()).ok())
        .filter(|file| file.starts_with(folder))
        .count()
}

#[tokio::test]
async fn a_closed_database_leaves_no_file_open_though_a_handle_to_it_is_left() {
    let (folder, path) = folder();
    let database = open(&path).unwrap();
    let another = database.clone();
    database.write(note("first")).await.unwrap();
    assert!(open_files_in(folder.path()) > 0);
    database.close().await;
    assert_eq!(
        open_files_in(folder.path()),
        0,
        "one that is closed later takes the locks of whoever has opened the file since"
    );
    drop(another);
}

//! Copies, made while the original is in use.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lastseen_sqlite::rusqlite::Connection;
use lastseen_sqlite::{OpenError, backup_file};

use super::{folder, note, notes, open};

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_made_while_others_write_is_whole_and_holds_what_was_answered_before() {
    let (folder, path) = folder();
    let database = open(&path).unwrap();
    for number in 0..100 {
        database
            .write(note(&format!("before {number}")))
            .await
            .unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writing = {
        let (database, stop) = (database.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                // Two notes in one job: a copy holds both or neither.
                database
                    .write(move |transaction| {
                        note(&format!("left {number}"))(transaction)?;
                        note(&format!("right {number}"))(transaction)
                    })
                    .await
                    .unwrap();
                number += 1;
            }
        })
    };
    for round in 0..5 {
        let copy = folder.path().join(format!("copy-{round}.db"));
        if round % 2 == 0 {
            database.backup(&copy).await.unwrap();
        } else {
            // As another process would, beside the lock.
            let (path, copy) = (path.clone(), copy.clone());
            tokio::task::spawn_blocking(move || backup_file(path, copy))
                .await
                .unwrap()
                .unwrap();
        }
        assert_eq!(
            fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let copied = open(&copy).unwrap();
        let texts = notes(&copied).await;
        assert_eq!(
            texts
                .iter()
                .filter(|text| text.starts_with("before"))
                .count(),
            100
        );
        let count = |side: &str| texts.iter().filter(|text| text.starts_with(side)).count();
        assert_eq!(count("left"), count("right"));
        let whole: String = copied
            .read(|transaction| {
                Ok(transaction.query_row("PRAGMA integrity_check", [], |row| row.get(0))?)
            })
            .await
            .unwrap();
        assert_eq!(whole, "ok");
    }
    stop.store(true, Ordering::Relaxed);
    writing.await.unwrap();
}

#[tokio::test]
async fn a_copy_never_overwrites_anything() {
    let (folder, path) = folder();
    let database = open(&path).unwrap();
    let copy = folder.path().join("copy.db");
    fs::write(&copy, "precious").unwrap();
    assert_eq!(
        database.backup(&copy).await,
        Err(OpenError::Exists { path: copy.clone() })
    );
    assert_eq!(fs::read_to_string(&copy).unwrap(), "precious");
    assert!(matches!(
        database.backup(&path).await,
        Err(OpenError::Exists { .. })
    ));
}

#[tokio::test]
async fn a_copy_into_a_missing_directory_is_refused() {
    let (folder, path) = folder();
    let database = open(&path).unwrap();
    let error = database
        .backup(folder.path().join("nowhere").join("copy.db"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, OpenError::MissingDirectory { .. }),
        "{error}"
    );
}

#[test]
fn what_is_no_database_of_ours_is_not_copied() {
    let (folder, path) = folder();
    let copy = folder.path().join("copy.db");
    assert!(matches!(
        backup_file(&path, &copy),
        Err(OpenError::Missing { .. })
    ));
    fs::write(&path, "x".repeat(5000)).unwrap();
    assert!(matches!(
        backup_file(&path, &copy),
        Err(OpenError::NotADatabase { .. })
    ));
    fs::remove_file(&path).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (number INTEGER)")
        .unwrap();
    assert!(matches!(
        backup_file(&path, &copy),
        Err(OpenError::OtherProgram { .. })
    ));
    assert!(!copy.exists());
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing half done is left"
    );
}

#[tokio::test]
async fn a_copy_leaves_out_the_pages_that_are_not_used_any_more() {
    let (folder, path) = folder();
    let database = open(&path).unwrap();
    let filling = |transaction: &lastseen_sqlite::Transaction<'_>| {
        transaction.execute(
            "INSERT INTO note (text) VALUES (hex(randomblob(500000)))",
            [],
        )?;
        Ok(())
    };
    database.write(filling).await.unwrap();
    database
        .write(|transaction| Ok(transaction.execute("DELETE FROM note", [])?))
        .await
        .unwrap();
    let copy = folder.path().join("copy.db");
    database.backup(&copy).await.unwrap();
    database.close().await;
    assert!(fs::metadata(&copy).unwrap().len() < 100_000);
    assert!(
        fs::metadata(&path).unwrap().len() > 1_000_000,
        "freed pages stay in the original, to be used again"
    );
}

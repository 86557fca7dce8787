//! File systems that are full or read-only: real ones, small, in memory, mounted by the tests.

use std::fs;
use std::path::Path;
use std::process::Command;

use lastseen_sqlite::Transaction;
use lastseen_sqlite::{Error, OpenError, resolve};
use tempfile::TempDir;

use super::{hold_writer, note, notes, open, until};

/// A file system of its own, gone with the value.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn mount(kibibytes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={kibibytes}k");
        run(
            "mount",
            &["-t", "tmpfs", "-o", &options, "tmpfs", text(folder.path())],
        );
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn make_read_only(&self) {
        run("mount", &["-o", "remount,ro", text(self.path())]);
    }

    fn make_writable(&self) {
        run("mount", &["-o", "remount,rw", text(self.path())]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: also where a failed test still has the database open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(command: &str, arguments: &[&str]) {
    let output = Command::new(command).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "this test mounts a small file system, so it has to run as root, with util-linux: {command} said {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
}

fn page(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction.execute("INSERT INTO note (text) VALUES (hex(randomblob(2000)))", [])?;
    Ok(())
}

#[tokio::test]
async fn a_full_disk_fails_writes_and_health_until_there_is_room_and_loses_nothing() {
    let disk = SmallDisk::mount(2048);
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let path = disk.path().join("notes.db");
    let database = open(&path).unwrap();
    let mut answered = 0;
    // A probe may find the room that a larger write did not; then there is a little left.
    let refused = loop {
        match database.write(page).await {
            Ok(()) => answered += 1,
            Err(error) if database.health().await.is_err() => break error,
            Err(_) => {}
        }
        assert!(answered < 2000, "a disk of 2 MiB holds no more than that");
    };
    assert_eq!(refused, Error::DiskFull);
    assert_eq!(database.health().await, Err(Error::DiskFull));
    assert_eq!(notes(&database).await.len(), answered, "reading goes on");

    fs::remove_file(&ballast).unwrap();
    assert_eq!(database.health().await, Ok(()), "it recovers by itself");
    database.write(page).await.unwrap();
    assert_eq!(database.health().await, Ok(()));
    assert_eq!(notes(&database).await.len(), answered + 1);
    database.close().await;
    assert_eq!(notes(&open(&path).unwrap()).await.len(), answered + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_is_answered_to_every_write_in_it() {
    let disk = SmallDisk::mount(2048);
    let path = disk.path().join("notes.db");
    let database = open(&path).unwrap();
    let ballast = disk.path().join("ballast");
    // As much as fits.
    let _ = fs::write(&ballast, vec![1; 4 << 20]);
    let release = hold_writer(&database);
    let mut writes = Vec::new();
    for place in 0..8 {
        let writer = database.clone();
        writes.push(tokio::spawn(async move { writer.write(page).await }));
        until(|| database.statistics().waiting_writes == place + 1).await;
    }
    release.send(()).unwrap();
    for write in writes {
        assert_eq!(write.await.unwrap(), Err(Error::DiskFull));
    }
    assert_eq!(database.health().await, Err(Error::DiskFull));
    fs::remove_file(&ballast).unwrap();
    assert_eq!(database.health().await, Ok(()));
    assert!(notes(&database).await.is_empty());
}

#[tokio::test]
async fn after_a_fault_a_write_that_succeeds_ends_it_without_being_asked_for() {
    let disk = SmallDisk::mount(2048);
    let path = disk.path().join("notes.db");
    let database = open(&path).unwrap();
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let large = |transaction: &Transaction<'_>| {
        transaction.execute(
            "INSERT INTO note (text) VALUES (hex(randomblob(1000000)))",
            [],
        )?;
        Ok(())
    };
    assert_eq!(database.write(large).await, Err(Error::DiskFull));
    database.write(note("small")).await.unwrap();
    assert_eq!(database.health().await, Ok(()));
    assert_eq!(notes(&database).await, ["small"]);
}

#[test]
fn a_database_is_not_made_on_a_full_disk() {
    let disk = SmallDisk::mount(64);
    let _ = fs::write(disk.path().join("ballast"), vec![1; 64 << 10]);
    let path = disk.path().join("notes.db");
    let error = open(&path).unwrap_err();
    assert!(matches!(error, OpenError::DiskFull { .. }), "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_read_only_file_system_is_called_that() {
    let disk = SmallDisk::mount(4096);
    let (old, new) = (disk.path().join("old.db"), disk.path().join("new.db"));
    open(&old).unwrap().close().await;
    disk.make_read_only();
    for path in [old.clone(), new] {
        let error = open(&path).unwrap_err();
        assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");
        assert!(
            error
                .to_string()
                .starts_with(text(&resolve(&path).unwrap())),
            "{error}"
        );
    }
    disk.make_writable();
    open(&old).unwrap();
}

#[tokio::test]
async fn a_copy_that_does_not_fit_leaves_nothing_behind() {
    let disk = SmallDisk::mount(256);
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path().join("notes.db")).unwrap();
    for _ in 0..200 {
        database.write(page).await.unwrap();
    }
    let copy = disk.path().join("copy.db");
    let error = database.backup(&copy).await.unwrap_err();
    assert!(matches!(error, OpenError::DiskFull { .. }), "{error}");
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
    database.health().await.unwrap();
}

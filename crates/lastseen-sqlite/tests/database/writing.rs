//! One writer that commits in groups, readers beside it.

use std::sync::mpsc;
use std::time::Duration;

use lastseen_sqlite::{Database, Error, Options, Transaction, Turn};

use super::{NOTES, folder, hold_writer, note, notes, open, until};

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_wait_together_share_one_commit() {
    let (_folder, path) = folder();
    let database = open(&path).unwrap();
    let before = database.statistics();
    let release = hold_writer(&database);
    let writes: Vec<_> = (0..100)
        .map(|number| {
            let database = database.clone();
            tokio::spawn(async move { database.write(note(&number.to_string())).await })
        })
        .collect();
    until(|| database.statistics().waiting_writes == 100).await;
    release.send(()).unwrap();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    assert_eq!(notes(&database).await.len(), 100);
    let after = database.statistics();
    assert_eq!(after.commits - before.commits, 1);
    until(|| database.statistics().writes - before.writes == 101).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_leaves_those_beside_it_alone() {
    let (_folder, path) = folder();
    let database = open(&path).unwrap();
    database.write(note("taken")).await.unwrap();
    let release = hold_writer(&database);
    // The order matters: a failure before, between and after what succeeds.
    let texts = ["taken", "a", "taken", "b", "a", "c", "taken"];
    let mut writes = Vec::new();
    for (place, text) in texts.into_iter().enumerate() {
        let writer = database.clone();
        writes.push(tokio::spawn(async move {
            writer
                .write(move |transaction| {
                    // Done before the failure: to be undone with it.
                    note(&format!("before {place}"))(transaction)?;
                    note(text)(transaction)
                })
                .await
        }));
        until(|| database.statistics().waiting_writes == place + 1).await;
    }
    release.send(()).unwrap();
    let mut succeeded = Vec::new();
    for write in writes {
        let outcome = write.await.unwrap();
        assert!(
            matches!(outcome, Ok(()) | Err(Error::Refused(_))),
            "{outcome:?}"
        );
        succeeded.push(outcome.is_ok());
    }
    assert_eq!(succeeded, [false, true, false, true, false, true, false]);
    assert_eq!(
        notes(&database).await,
        ["taken", "before 1", "a", "before 3", "b", "before 5", "c"]
    );
    database.health().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unguarded_write_that_fails_takes_those_beside_it_with_it_and_leaves_no_half() {
    let (_folder, path) = folder();
    let database = open(&path).unwrap();
    database.write(note("taken")).await.unwrap();
    let release = hold_writer(&database);
    let mut writes = Vec::new();
    for (place, text) in ["a", "taken", "b"].into_iter().enumerate() {
        let writer = database.clone();
        writes.push(tokio::spawn(async move {
            writer
                .write_unguarded(move |transaction| {
                    note(&format!("before {place}"))(transaction)?;
                    note(text)(transaction)
                })
                .await
        }));
        until(|| database.statistics().waiting_writes == place + 1).await;
    }
    release.send(()).unwrap();
    let mut succeeded = Vec::new();
    for write in writes {
        succeeded.push(write.await.unwrap().is_ok());
    }
    // The last came after the commit that was lost.
    assert_eq!(succeeded, [false, false, true]);
    assert_eq!(notes(&database).await, ["taken", "before 2", "b"]);
    database.health().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gives_way_comes_after_what_somebody_waits_for() {
    let (_folder, path) = folder();
    let database = open(&path).unwrap();
    let before = database.statistics().commits;
    let release = hold_writer(&database);
    let mut writes = Vec::new();
    for (place, text) in ["upkeep", "a", "b"].into_iter().enumerate() {
        let writer = database.clone();
        writes.push(tokio::spawn(async move {
            match text {
                "upkeep" => {
                    let work =
                        |transaction: &Transaction<'_>, _: &Turn<'_>| note("upkeep")(transaction);
                    writer.write_giving_way(work).await
                }
                text => writer.write(note(text)).await,
            }
        }));
        until(|| database.statistics().waiting_writes == place + 1).await;
    }
    release.send(()).unwrap();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    assert_eq!(notes(&database).await, ["a", "b", "upkeep"]);
    let commits = database.statistics().commits - before;
    assert_eq!(commits, 2, "nobody waits for what gives way");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_over_once_somebody_waits() {
    let (_folder, path) = folder();
    let options = Options {
        turn: Duration::from_hours(1),
        ..Options::default()
    };
    let database = Database::open(&path, &[NOTES], options).unwrap();
    let (started, has_started) = mpsc::channel();
    let upkeep = {
        let database = database.clone();
        tokio::spawn(async move {
            let work = move |transaction: &Transaction<'_>, turn: &Turn<'_>| {
                note("upkeep")(transaction)?;
                started.send(()).unwrap();
                while !turn.is_over() {
                    std::hint::spin_loop();
                }
                Ok(())
            };
            database.write_giving_way(work).await
        })
    };
    tokio::task::block_in_place(|| has_started.recv().unwrap());
    database.write(note("a")).await.unwrap();
    upkeep.await.unwrap().unwrap();
    assert_eq!(notes(&database).await, ["upkeep", "a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gives_way_has_a_turn_after_each_group() {
    let (_folder, path) = folder();
    let database = open(&path).unwrap();
    let release = hold_writer(&database);
    let upkeep = {
        let writer = database.clone();
        let work = |transaction: &Transaction<'_>, _: &Turn<'_>| note("upkeep")(transaction);
        tokio::spawn(async move { writer.write_giving_way(work).await })
    };
    until(|| database.statistics().waiting_writes == 1).await;
    // More than one group takes.
    let writes: Vec<_> = (0..1_000)
        .map(|number| {
            let database = database.clone();
            tokio::spawn(async move { database.write(note(&number.to_string())).await })
        })
        .collect();
    until(|| database.statistics().waiting_writes == 1_001).await;
    release.send(()).unwrap();
    upkeep.await.unwrap().unwrap();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    let notes = notes(&database).await;
    let place = notes.iter().position(|text| text == "upkeep");
    assert_eq!(
        place,
        Some(511),
        "after the first group, which is 512 with the one that held the writer"
    );
}

#[tokio::test]
async fn a_write_that_panics_is_undone_and_the_writer_goes_on() {
    let (_folder, path) = folder();
    let database = open(&path).unwrap();
    let outcome: Result<(), _> = database
        .write(|transaction| {
            note("half")(transaction)?;
            panic!("on purpose");
        })
        .await;
    assert_eq!(outcome, Err(Error::Panicked));
    database.write(note("whole")).await.unwrap();
    assert_eq!(notes(&database).await, ["whole"]);
}

#[tokio::test]
async fn a_read_that_panics_leaves_the_readers_working() {
    let (_folder, path) = folder();
    let database = open(&path).unwrap();
    for _ in 0..20 {
        let outcome: Result<(), _> = database.read(|_| panic!("on purpose")).await;
        assert_eq!(outcome, Err(Error::Panicked));
    }
    assert!(notes(&database).await.is_empty());
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let (_folder, path) = folder();
    let database = open(&path).unwrap();
    assert_eq!(
        database.read(note("by a reader")).await,
        Err(Error::ReadOnly)
    );
    assert!(notes(&database).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_sees_every_write_that_was_answered_before_it() {
    let (_folder, path) = folder();
    let database = open(&path).unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let database = database.clone();
            tokio::spawn(async move {
                for number in 0..50 {
                    let text = format!("{task} {number}");
                    database.write(note(&text)).await.unwrap();
                    assert!(notes(&database).await.contains(&text), "{text}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_done_even_if_nobody_waits_for_it() {
    let (_folder, path) = folder();
    let database = open(&path).unwrap();
    let release = hold_writer(&database);
    let asking = {
        let database = database.clone();
        tokio::spawn(async move { database.write(note("unasked")).await })
    };
    until(|| database.statistics().waiting_writes == 1).await;
    asking.abort();
    release.send(()).unwrap();
    database.close().await;
    assert_eq!(notes(&open(&path).unwrap()).await, ["unasked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_bound_writes_are_refused_at_once() {
    let (_folder, path) = folder();
    let options = Options {
        waiting_writes: 2,
        ..Options::default()
    };
    let database = Database::open(&path, &[NOTES], options).unwrap();
    let release = hold_writer(&database);
    let waiting: Vec<_> = ["a", "b"]
        .map(|text| {
            let database = database.clone();
            tokio::spawn(async move { database.write(note(text)).await })
        })
        .into();
    until(|| database.statistics().waiting_writes == 2).await;
    assert_eq!(database.write(note("c")).await, Err(Error::Overloaded));
    release.send(()).unwrap();
    for write in waiting {
        write.await.unwrap().unwrap();
    }
    database.write(note("d")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_finishes_what_is_queued_and_refuses_what_comes_later() {
    let (_folder, path) = folder();
    let database = open(&path).unwrap();
    let release = hold_writer(&database);
    let writes: Vec<_> = (0..10)
        .map(|number| {
            let database = database.clone();
            tokio::spawn(async move { database.write(note(&number.to_string())).await })
        })
        .collect();
    until(|| database.statistics().waiting_writes == 10).await;
    let closing = {
        let database = database.clone();
        tokio::spawn(async move { database.close().await })
    };
    // Once the queue is gone from the figures, nothing more is accepted.
    until(|| database.statistics().waiting_writes == 0).await;
    assert_eq!(database.write(note("late")).await, Err(Error::Closed));
    assert_eq!(database.health().await, Err(Error::Closed));
    release.send(()).unwrap();
    closing.await.unwrap();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    assert_eq!(notes(&open(&path).unwrap()).await.len(), 10);
}

#[tokio::test]
async fn the_last_handle_may_go_on_the_writers_own_thread() {
    let (_folder, path) = folder();
    let database = open(&path).unwrap();
    let last = database.clone();
    let (gone, is_gone) = mpsc::channel();
    let (released, release) = mpsc::channel();
    let write = database.write(move |transaction| {
        release.recv().unwrap();
        note("by the last handle")(transaction)?;
        drop(last);
        gone.send(()).unwrap();
        Ok(())
    });
    // Polled once, so that the job is queued; then this side lets go of everything.
    tokio::select! { biased; _ = write => unreachable!("it was not released"), () = std::future::ready(()) => {} }
    drop(database);
    released.send(()).unwrap();
    is_gone.recv().unwrap();
    // The writer finishes by itself; the file is free soon after.
    let mut again = open(&path);
    while again.is_err() {
        tokio::task::yield_now().await;
        again = open(&path);
    }
    assert_eq!(notes(&again.unwrap()).await, ["by the last handle"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_begins_anew_under_steady_load() {
    let (folder, path) = folder();
    let database = open(&path).unwrap();
    database.write(note("to be replaced")).await.unwrap();
    let mut longest = 0;
    loop {
        // 100 pages of the log at a time.
        database
            .write(|transaction| {
                transaction.execute("UPDATE note SET text = hex(randomblob(200000))", [])?;
                Ok(())
            })
            .await
            .unwrap();
        let pages = database.statistics().log_pages;
        if pages < longest {
            break;
        }
        longest = pages;
        assert!(longest < 80_000, "the log has {longest} pages");
    }
    assert!(
        longest >= 4_000,
        "a log that begins anew too early copies the same pages often"
    );
    let log = std::fs::metadata(folder.path().join("notes.db-wal")).unwrap();
    assert!(log.len() < 330 << 20, "the log has {} bytes", log.len());
}

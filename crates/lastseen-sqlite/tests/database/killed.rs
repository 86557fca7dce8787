//! A process that is killed in the middle of concurrent writes loses nothing that it has answered.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::{folder, note, notes, open};

/// Where the child finds its database, and what its notes begin with.
const PATH: &str = "LASTSEEN_TEST_DATABASE";
const ROUND: &str = "LASTSEEN_TEST_ROUND";

/// The child: writes with many tasks at once, and says each note once it was answered. It never ends by itself.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started and killed by the test below"]
async fn writes_until_it_is_killed() {
    let database = open(std::env::var_os(PATH).unwrap()).unwrap();
    let round = std::env::var(ROUND).unwrap();
    let tasks: Vec<_> = (0..32)
        .map(|task| {
            let (database, round) = (database.clone(), round.clone());
            tokio::spawn(async move {
                for number in 0_u64.. {
                    let text = format!("{round} {task} {number}");
                    database.write(note(&text)).await.unwrap();
                    let line = format!("answered {text}\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_kill() {
    let (_folder, path) = folder();
    let mut answered = Vec::new();
    for round in 0..10 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "killed::writes_until_it_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(PATH, &path)
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n');
        // Each round is killed at another moment, counted in what it has answered.
        for line in lines.by_ref() {
            answered.extend(answer(&line.unwrap()));
            if answered.len() >= (round + 1) * 500 + round * 37 {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died.
        answered.extend(lines.map_while(Result::ok).filter_map(|line| answer(&line)));

        let database = open(&path).unwrap();
        let kept: std::collections::HashSet<_> = notes(&database).await.into_iter().collect();
        for text in &answered {
            assert!(
                kept.contains(text),
                "round {round}: {text} was answered and is gone"
            );
        }
        let whole: String = database
            .read(|transaction| {
                Ok(transaction.query_row("PRAGMA integrity_check", [], |row| row.get(0))?)
            })
            .await
            .unwrap();
        assert_eq!(whole, "ok");
        database.close().await;
    }
    assert!(answered.len() >= 5000);
}

/// The note that a line says was answered; a line that was cut short says nothing.
fn answer(line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix("answered ")?;
    Some(text.to_owned())
}

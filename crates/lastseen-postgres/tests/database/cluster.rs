//! The tests' own PostgreSQL does not outlive them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use lastseen_postgres::testing::Cluster;

/// Set for the program that is to be killed.
const ROLE: &str = "LASTSEEN_TEST_TO_BE_KILLED";

#[test]
fn the_server_of_tests_that_are_killed_ends_and_leaves_nothing() {
    if std::env::var_os(ROLE).is_some() {
        let cluster = Cluster::start(&[]);
        println!("folder: {}", cluster.folder().display());
        loop {
            std::thread::park();
        }
    }
    let mut tests = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("cluster::the_server_of_tests_that_are_killed_ends_and_leaves_nothing")
        .env(ROLE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let folder = BufReader::new(tests.stdout.take().unwrap())
        .lines()
        .find_map(|line| Some(line.unwrap().split_once("folder: ")?.1.to_owned()))
        .unwrap();
    assert!(Path::new(&folder).join("data/postmaster.pid").exists());
    tests.kill().unwrap();
    tests.wait().unwrap();
    while Path::new(&folder).exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

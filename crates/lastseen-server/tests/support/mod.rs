//! The program as others see it: a process, its lines, its exit status, and HTTP over a socket.

// Each test file is a program of its own and uses a part of this one.
#![expect(
    clippy::unwrap_used,
    dead_code,
    clippy::disallowed_methods,
    reason = "a test that cannot go on stops; no test file uses all of it; processes are timed by the clock on the wall"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest time that anything in a test may take before it counts as failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A command of the program in `directory`, with nothing of this environment's settings.
pub(crate) fn lastseen(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lastseen"));
    command
        .current_dir(directory)
        .args(arguments)
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LASTSEEN_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Output {
    lastseen(directory, arguments).output().unwrap()
}

/// Runs a command that reads `input`.
pub(crate) fn run_with_input(directory: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = lastseen(directory, arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || _ = stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What must be true of every failure: this status, nothing on stdout, one line on stderr.
pub(crate) fn assert_fails(output: &Output, status: i32) -> String {
    let line = stderr(output);
    assert_eq!(output.status.code(), Some(status), "{line}");
    assert_eq!(line.lines().count(), 1, "{line:?}");
    assert!(line.starts_with("lastseen: "), "{line}");
    assert!(output.stdout.is_empty(), "{}", stdout(output));
    line
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// What it printed after its first line.
    lines: std::sync::mpsc::Receiver<String>,
    directory: PathBuf,
}

impl Server {
    /// Starts `lastseen serve` on a free port in `directory`.
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut all = vec!["serve", "--listen", "127.0.0.1:0"];
        all.extend(arguments);
        Self::of(lastseen(directory, &all), directory)
    }

    /// Starts a server by this command.
    pub(crate) fn of(mut command: Command, directory: &Path) -> Self {
        let mut log = std::fs::OpenOptions::new();
        let log = log
            .create(true)
            .append(true)
            .open(directory.join("log.txt"))
            .unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        let Ok(first) = lines.recv_timeout(PATIENCE) else {
            let log = std::fs::read_to_string(directory.join("log.txt")).unwrap();
            panic!("the server did not start: {log}");
        };
        let address = first
            .strip_prefix("listening on http://")
            .unwrap()
            .parse()
            .unwrap();
        Self {
            child,
            address,
            lines,
            directory: directory.to_path_buf(),
        }
    }

    /// The next line on stdout.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// Whether it printed nothing more.
    pub(crate) fn printed_no_more(&self) -> bool {
        self.lines.try_recv().is_err()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log.txt")).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Asks it to stop and waits until it has; answers with its status and how long that took.
    pub(crate) fn stop(mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        self.signal("TERM");
        let status = self.wait();
        (status, asked.elapsed())
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not stop");
            std::thread::yield_now();
        }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// Makes a request and reads the whole answer.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        request(self.address, method, path, headers, body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], "")
    }

    /// Signs in and answers with the token.
    pub(crate) fn sign_in(&self, name: &str, password: &str) -> String {
        let body = serde_json::json!({"username": name, "password": password}).to_string();
        let answer = self.request(
            "POST",
            "/api/v1/sign-in",
            &[("content-type", "application/json")],
            &body,
        );
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    /// The current session of a token; its status tells whether it is accepted.
    pub(crate) fn session(&self, token: &str) -> Answer {
        self.request(
            "GET",
            "/api/v1/session",
            &[("authorization", &format!("Bearer {token}"))],
            "",
        )
    }
}

/// A connection to a server.
fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Makes a request and reads the whole answer.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if !body.is_empty() {
        head.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
    }
    let mut stream = connect(address);
    stream
        .write_all(format!("{head}\r\n{body}").as_bytes())
        .unwrap();
    Answer::read(stream)
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            status,
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The password of the accounts of these tests.
pub(crate) const PASSWORD: &str = "violet otter chess 47";

/// Adds an account by command.
pub(crate) fn add_account(directory: &Path, name: &str) {
    let arguments = ["account", "add", name, "--password-stdin"];
    let output = run_with_input(directory, &arguments, format!("{PASSWORD}\n").as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
}

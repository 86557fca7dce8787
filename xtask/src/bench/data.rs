//! Where the bench keeps its things: all under `bench/target`, made anew for each part.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::process;

/// Cargo's target folder for all that is built here.
pub(super) fn target() -> PathBuf {
    process::root().join("bench/target")
}

/// A program that was built.
pub(super) fn program(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// The folder of this run's databases, logs and requests.
pub(super) fn folder() -> PathBuf {
    target().join("data")
}

/// Empties the folder.
pub(super) fn begin() -> Result<()> {
    let folder = folder();
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("{} cannot be emptied", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))
}

/// Brings a list out of its order, in the same way each time: neighbours in a database are no neighbours in the load.
pub(super) fn shuffle<T>(items: &mut [T]) {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for last in (1..items.len()).rev() {
        // Xorshift, 64 bits (Marsaglia 2003): good enough to mix a list.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let place = state % (last as u64 + 1);
        items.swap(last, usize::try_from(place).unwrap_or(0));
    }
}

/// One request as `bench/wrk/requests.lua` reads it.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) cookie: Option<&'a str>,
    pub(super) header: Option<&'a str>,
    pub(super) body: Option<&'a str>,
}

impl Request<'_> {
    pub(super) fn line(&self) -> String {
        let or_none = |field: Option<&str>| field.unwrap_or("-").to_owned();
        [
            self.method.to_owned(),
            self.path.to_owned(),
            or_none(self.cookie),
            or_none(self.header),
            or_none(self.body),
        ]
        .join("\t")
    }
}

/// Writes a file of requests, and says where it is.
pub(super) fn requests(name: &str, lines: impl Iterator<Item = String>) -> Result<PathBuf> {
    let path = folder().join(name);
    let mut text = String::new();
    for line in lines {
        // Writing to a string cannot fail.
        _ = writeln!(text, "{line}");
    }
    std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}

/// The body that a server answers to a GET with this cookie.
pub(super) fn body_of(address: &str, path: &str, cookie: &str) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .context("the answer has no end of its head")?;
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        bail!("{path} answers {}", String::from_utf8_lossy(&answer));
    }
    Ok(answer.split_off(end + 4))
}

//! One of those that are compared: a server that runs, and what it is asked.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Operation;
use super::data::{self, Request};
use super::seeded::Seeded;
use super::server::Server;
use crate::process;

/// Requests of one kind that the load generator holds at most: each of its threads holds all of them.
const HELD: usize = 200_000;

/// One of those that are compared.
pub(super) struct Contender {
    /// As the table has it.
    pub(super) name: String,
    pub(super) server: Server,
    /// Servers beside it, which get their share of the load.
    others: Vec<Server>,
    /// The process of a database of its own, whose work counts as the contender's.
    backend: Option<u32>,
    /// What to send for each operation; by weight where it is several kinds.
    loads: Vec<(Operation, Vec<(u32, PathBuf)>)>,
    /// Requests that end a session each, hence can be sent only once.
    ends: Vec<String>,
}

impl Contender {
    pub(super) fn new(name: &str, server: Server, backend: Option<u32>) -> Self {
        Self {
            name: name.to_owned(),
            server,
            others: Vec::new(),
            backend,
            loads: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// The same with other servers, which the load is spread over.
    pub(super) fn with_others(self, others: Vec<Server>) -> Self {
        Self { others, ..self }
    }

    pub(super) fn can(&self, operation: Operation) -> bool {
        self.load(operation).is_some()
    }

    pub(super) fn load(&self, operation: Operation) -> Option<&[(u32, PathBuf)]> {
        self.loads
            .iter()
            .find(|(known, _)| *known == operation)
            .map(|(_, load)| load.as_slice())
    }

    /// The one file of an operation that is of one kind.
    pub(super) fn file(&self, operation: Operation) -> Result<PathBuf> {
        let load = self.load(operation).and_then(<[_]>::first);
        let (_, file) = load.with_context(|| format!("{} cannot {operation:?}", self.name))?;
        Ok(file.clone())
    }

    pub(super) fn loads(&self) -> &[(Operation, Vec<(u32, PathBuf)>)] {
        &self.loads
    }

    pub(super) fn set_load(&mut self, operation: Operation, load: Vec<(u32, PathBuf)>) {
        self.loads.retain(|(known, _)| *known != operation);
        self.loads.push((operation, load));
    }

    /// Writes the requests of an operation into a file of this contender's.
    pub(super) fn set_requests(
        &mut self,
        operation: Operation,
        requests: impl Iterator<Item = String>,
    ) -> Result<()> {
        let name = format!("{}-{}.tsv", operation.name(), self.server.process());
        let file = data::requests(&name, requests.take(HELD))?;
        self.set_load(operation, vec![(1, file)]);
        Ok(())
    }

    pub(super) fn set_ends(&mut self, ends: Vec<String>) {
        self.ends = ends;
    }

    /// A file of requests that end sessions which were not ended yet.
    pub(super) fn take_ends(&mut self, count: usize) -> Result<PathBuf> {
        let rest = self.ends.len().saturating_sub(count);
        let taken = self.ends.split_off(rest);
        anyhow::ensure!(
            !taken.is_empty(),
            "{} has no session left to end",
            self.name
        );
        let name = format!("terminate-{}.once.tsv", self.server.process());
        data::requests(&name, taken.into_iter())
    }

    /// Gets ready what a turn of an operation uses up; `count` sessions may end in it.
    pub(super) fn prepare(&mut self, operation: Operation, count: usize) -> Result<()> {
        if self.ends.is_empty() || !matches!(operation, Operation::Terminate | Operation::Mix) {
            return Ok(());
        }
        let terminate = self.take_ends(count)?;
        let load = if operation == Operation::Terminate {
            vec![(1, terminate)]
        } else {
            vec![
                (95, self.file(Operation::Validate)?),
                (3, self.file(Operation::List10)?),
                (1, self.file(Operation::Create)?),
                (1, terminate),
            ]
        };
        self.set_load(operation, load);
        Ok(())
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Where its servers listen.
    pub(super) fn addresses(&self) -> Vec<&str> {
        self.servers().map(Server::address).collect()
    }

    /// The processes whose work is this contender's: the servers, then their database.
    pub(super) fn processes(&self) -> (Vec<u32>, Option<u32>) {
        (self.servers().map(Server::process).collect(), self.backend)
    }

    fn servers(&self) -> impl Iterator<Item = &Server> {
        std::iter::once(&self.server).chain(&self.others)
    }
}

/// Gets with each session's cookie.
pub(super) fn gets(path: &str, sessions: &[Seeded]) -> impl Iterator<Item = String> {
    sessions.iter().map(move |session| {
        Request {
            method: "GET",
            path,
            cookie: Some(&session.cookie()),
            header: None,
            body: None,
        }
        .line()
    })
}

/// The end of a session by itself: each request is made under the session that it ends.
pub(super) fn end_of(session: &Seeded) -> String {
    Request {
        method: "DELETE",
        path: &format!("/api/v1/sessions/{}", session.id),
        cookie: Some(&session.cookie()),
        header: None,
        body: None,
    }
    .line()
}

/// Sessions to create, one an account, for ten thousand accounts in turn.
pub(super) fn creations(key: Option<&str>) -> impl Iterator<Item = String> {
    const BODY: &str = "{\"name\":\"Ada\",\"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\",\"ip_address\":\"203.0.113.7\",\"remember\":true}";
    let header = key.map(|key| format!("Authorization: Bearer {key}"));
    (0..10_000).map(move |number| {
        Request {
            method: "POST",
            path: &format!("/api/v1/accounts/new-{number}/sessions"),
            cookie: None,
            header: header.as_deref(),
            body: Some(BODY),
        }
        .line()
    })
}

/// The key of an application of the bench's own, in a database file.
pub(super) fn application_key(database: &Path) -> Result<String> {
    application_key_in(&format!("sqlite:{}", database.display()))
}

/// The same in a database as `--database` names it.
pub(super) fn application_key_in(database: &str) -> Result<String> {
    let text = process::output(Command::new(data::program("lastseen")).args([
        "application",
        "add",
        "bench",
        "--database",
        database,
    ]))?;
    text.split(|letter: char| letter.is_whitespace() || letter == '"')
        .find(|word| word.starts_with("lsa_"))
        .map(str::to_owned)
        .context("no key was shown")
}

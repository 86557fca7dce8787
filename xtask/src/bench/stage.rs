//! The servers of one part of the bench, started and filled.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::Operation;
use super::contender::{Contender, application_key, creations, end_of, gets};
use super::data::{self, Request};
use super::databases::{start_postgresql, start_redis, stop_postgresql};
use super::seeded::{self, Filled};
use super::server::{self, Figures, Log, Server};

/// Those that Lastseen is compared with, tower-sessions over its stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Who {
    /// In its process.
    Memory,
    /// SQLite with a cache before it.
    Moka,
    /// SQLite.
    Sqlite,
    /// Redis.
    Redis,
    /// PostgreSQL.
    Postgresql,
}

impl Who {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Memory => "tower-sessions, memory",
            Self::Moka => "tower-sessions, moka over SQLite",
            Self::Sqlite => "tower-sessions, SQLite",
            Self::Redis => "tower-sessions, Redis",
            Self::Postgresql => "tower-sessions, PostgreSQL",
        }
    }

    fn store(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Moka => "moka",
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
            Self::Postgresql => "postgres",
        }
    }

    /// How many times as many sessions as SQLite it may end in a turn.
    fn eagerness(self) -> u64 {
        match self {
            Self::Memory | Self::Redis => 5,
            _ => 1,
        }
    }
}

/// Everything that runs during a part.
#[derive(Default)]
pub(super) struct Stage {
    pub(super) contenders: Vec<Contender>,
    redis: Option<Child>,
    postgresql: Option<(Child, u16)>,
}

impl Stage {
    /// Lastseen over a copy of a filled database, ready for every operation.
    pub(super) fn add_lastseen(
        &mut self,
        name: &str,
        filled: &Filled,
        settings: &[&str],
    ) -> Result<Figures> {
        let file = format!("lastseen-{}", self.contenders.len());
        let database = filled.copy(&format!("{file}.db"))?;
        let key = application_key(&database)?;
        let (server, figures) = server::lastseen(&file, &database, settings)?;
        let mut contender = Contender::new(name, server, None);
        for (operation, path, sessions) in [
            (Operation::Validate, "/api/v1/session", &filled.short),
            (Operation::List10, "/api/v1/sessions", &filled.short),
            (
                Operation::List50Of1000,
                "/api/v1/sessions?limit=50",
                &filled.long,
            ),
        ] {
            if !sessions.is_empty() {
                contender.set_requests(operation, gets(path, sessions))?;
            }
        }
        contender.set_requests(Operation::Create, creations(Some(&key)))?;
        contender.set_ends(filled.ending.iter().map(end_of).collect());
        self.contenders.push(contender);
        Ok(figures)
    }

    /// Two floors that differ in the length of their list; they get the requests of the first Lastseen.
    pub(super) fn add_floors(&mut self, filled: &Filled) -> Result<()> {
        let lastseen = self.contenders.first().context("Lastseen comes first")?;
        let address = lastseen.server.address().to_owned();
        let loads = lastseen.loads().to_vec();
        let body = |name: &str, path: &str, sessions: &[seeded::Seeded]| -> Result<PathBuf> {
            let session = sessions.first().context("nothing was seeded")?;
            let file = data::folder().join(name);
            std::fs::write(&file, data::body_of(&address, path, &session.cookie())?)?;
            Ok(file)
        };
        let session = body("session.json", "/api/v1/session", &filled.short)?;
        let list = body("list-10.json", "/api/v1/sessions", &filled.short)?;
        let list_long = body("list-50.json", "/api/v1/sessions?limit=50", &filled.long)?;
        let start = |name: &str, list: &Path| {
            Server::start(
                name,
                Log::File,
                Command::new(data::program("floor"))
                    .arg("--session")
                    .arg(&session)
                    .arg("--list")
                    .arg(list),
            )
        };
        let (of_long, of_short): (Vec<_>, Vec<_>) = loads
            .into_iter()
            .partition(|(operation, _)| *operation == Operation::List50Of1000);
        for (server, loads) in [
            (start("floor", &list)?, of_short),
            (start("floor-long", &list_long)?, of_long),
        ] {
            let mut floor = Contender::new("floor", server, None);
            for (operation, load) in loads {
                floor.set_load(operation, load);
            }
            self.contenders.push(floor);
        }
        Ok(())
    }

    /// Redis; answers its port.
    pub(super) fn start_redis(&mut self) -> Result<u16> {
        let (redis, port) = start_redis()?;
        self.redis = Some(redis);
        Ok(port)
    }

    /// A service with tower-sessions, with `sessions` to be asked for and others to be ended.
    pub(super) fn add_other(&mut self, who: Who, sessions: u64, to_end: u64) -> Result<()> {
        let all = sessions + to_end * who.eagerness();
        let mut command = Command::new(data::program("lastseen-bench-others"));
        command.args(["--store", who.store(), "--url"]);
        let mut backend = None;
        let cookies = if matches!(who, Who::Sqlite | Who::Moka) {
            let (file, cookies) = seeded::tower_sessions(all, &format!("{}.db", who.store()))?;
            command.arg(file);
            cookies
        } else {
            let sample = data::folder().join(format!("{}-sample.txt", who.store()));
            let url = match who {
                Who::Redis => {
                    let port = self.start_redis()?;
                    backend = self.redis.as_ref().map(Child::id);
                    format!("redis://127.0.0.1:{port}")
                }
                Who::Postgresql => {
                    let (postgresql, port) = start_postgresql()?;
                    backend = Some(postgresql.id());
                    self.postgresql = Some((postgresql, port));
                    format!("postgres://postgres@127.0.0.1:{port}/postgres")
                }
                _ => String::new(),
            };
            command.arg(url).args(["--sessions", &all.to_string()]);
            command.arg("--sample").arg(&sample);
            Vec::new()
        };
        let server = Server::start(who.store(), Log::File, &mut command)?;
        let cookies = if cookies.is_empty() {
            let sample = data::folder().join(format!("{}-sample.txt", who.store()));
            let text = std::fs::read_to_string(sample)?;
            let mut cookies: Vec<String> = text.lines().map(str::to_owned).collect();
            data::shuffle(&mut cookies);
            cookies
        } else {
            cookies
        };
        let request = |method: &'static str, path: &'static str, cookie: &String| {
            Request {
                method,
                path,
                cookie: Some(cookie),
                header: None,
                body: None,
            }
            .line()
        };
        let asked = usize::try_from(sessions)?.min(cookies.len());
        let (asked, ended) = cookies.split_at(asked);
        let mut contender = Contender::new(who.name(), server, backend);
        contender.set_requests(
            Operation::Validate,
            asked
                .iter()
                .map(|cookie| request("GET", "/api/v1/session", cookie)),
        )?;
        contender.set_requests(Operation::Create, creations(None))?;
        let ends = ended.iter();
        contender.set_ends(
            ends.map(|cookie| request("DELETE", "/api/v1/sessions/mine", cookie))
                .collect(),
        );
        self.contenders.push(contender);
        Ok(())
    }

    /// Gets ready what a turn uses up.
    pub(super) fn prepare(&mut self, operation: Operation, count: usize) -> Result<()> {
        for contender in &mut self.contenders {
            contender.prepare(operation, count)?;
        }
        // The floor gets what Lastseen gets.
        if operation == Operation::Mix {
            let mix = self
                .contenders
                .first()
                .and_then(|lastseen| lastseen.load(operation))
                .map(<[_]>::to_vec);
            let floor = self
                .contenders
                .iter_mut()
                .find(|contender| contender.name == "floor");
            if let (Some(mix), Some(floor)) = (mix, floor) {
                floor.set_load(operation, mix);
            }
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Their servers first: one without its database would complain.
        self.contenders.clear();
        if let Some(mut redis) = self.redis.take() {
            _ = redis.kill();
            _ = redis.wait();
        }
        if let Some((postgresql, port)) = self.postgresql.take()
            && let Err(error) = stop_postgresql(postgresql, port)
        {
            eprintln!("{error:#}");
        }
    }
}

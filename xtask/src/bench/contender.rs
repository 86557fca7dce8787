//! The servers that are compared: started, filled, asked for what they are, stopped.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Operation;
use super::data::{self, Request, Seeded};
use super::databases::{start_postgresql, start_redis, stop_postgresql};
use crate::process;

/// Accounts with ten sessions each are asked for by `validate` and `list-10`; one account has this many.
const LONG_ACCOUNT: u64 = 1_000;

/// Sessions that `terminate` and the mix may end in one run of the bench, of Lastseen's and of each other's.
const TO_END: u64 = 600_000;
const OTHERS_TO_END: u64 = 200_000;

/// Sessions that one turn may end: more than a turn of a second has time for.
const ENDED_IN_ONE_TURN: usize = 40_000;
/// The same for the mix, of which they are a hundredth.
const ENDED_IN_ONE_MIX: usize = 8_000;

/// A server that runs, ended when this goes.
pub(super) struct Server {
    child: Child,
    /// `address:port`.
    address: String,
}

impl Server {
    /// Starts a program and waits for its first line, which says where it listens. What it writes to stderr goes to a
    /// file, as a log would.
    fn start(name: &str, command: &mut Command) -> Result<Self> {
        let log = File::create(data::folder().join(format!("{name}.log")))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let mut server = Self {
            child,
            address: String::new(),
        };
        let Some(address) = line.trim().strip_prefix("listening on http://") else {
            server.stop();
            bail!(
                "{name} says no address; see {name}.log in {}",
                data::folder().display()
            );
        };
        address.clone_into(&mut server.address);
        Ok(server)
    }

    fn stop(&mut self) {
        // Asked first: it has uses to write, and a database to close.
        _ = process::succeeds("kill", &["-TERM", &self.child.id().to_string()]);
        _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.stop();
        }
    }
}

/// One of those that are compared.
pub(super) struct Contender {
    /// As the table has it.
    pub(super) name: &'static str,
    server: Server,
    /// The process of a database of its own, whose work counts as the contender's.
    backend: Option<u32>,
    /// What to send for each operation; by weight where it is several kinds.
    loads: Vec<(Operation, Vec<(u32, PathBuf)>)>,
    /// Requests that end a session each, hence can be sent only once.
    ends: Vec<String>,
}

impl Contender {
    pub(super) fn can(&self, operation: Operation) -> bool {
        self.load(operation).is_some()
    }

    pub(super) fn load(&self, operation: Operation) -> Option<&[(u32, PathBuf)]> {
        self.loads
            .iter()
            .find(|(known, _)| *known == operation)
            .map(|(_, load)| load.as_slice())
    }

    fn set_load(&mut self, operation: Operation, load: Vec<(u32, PathBuf)>) {
        self.loads.retain(|(known, _)| *known != operation);
        self.loads.push((operation, load));
    }

    /// The mix, where the contender does everything that is in it.
    fn set_mix(&mut self, terminate: PathBuf) {
        let file = |operation| self.load(operation)?.first().map(|(_, file)| file.clone());
        let (Some(validate), Some(list), Some(create)) = (
            file(Operation::Validate),
            file(Operation::List10),
            file(Operation::Create),
        ) else {
            return;
        };
        let mix = vec![(95, validate), (3, list), (1, create), (1, terminate)];
        self.set_load(Operation::Mix, mix);
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// The processes whose work is this contender's: the server, then its database.
    pub(super) fn processes(&self) -> (u32, Option<u32>) {
        (self.server.child.id(), self.backend)
    }
}

/// Everything that runs during a bench.
pub(super) struct Services {
    contenders: Vec<Contender>,
    redis: Option<(Child, u16)>,
    postgresql: Option<(Child, u16)>,
    database: PathBuf,
    /// The key of an application, where this Lastseen knows applications.
    key: Option<String>,
}

impl Services {
    pub(super) fn start(sessions: u64, only: &[String]) -> Result<Self> {
        data::begin()?;
        let database = data::folder().join("lastseen.db");
        let short = data::seed(&database, "account-", (sessions / 10).max(1), sessions)?;
        let long = data::seed(&database, "long-", 1, LONG_ACCOUNT)?;
        let to_end = data::seed(&database, "ending-", TO_END / 10, TO_END)?;
        let mut services = Self {
            contenders: Vec::new(),
            redis: None,
            postgresql: None,
            database,
            key: None,
        };
        services.start_lastseen(&short, &long, &to_end)?;
        services.start_floors(&short, &long)?;
        let file = |name: &str| data::folder().join(name).display().to_string();
        let wanted = |name: &str| only.is_empty() || only.iter().any(|wanted| wanted == name);
        if wanted("tower-sessions, memory") {
            services.start_other("tower-sessions, memory", "memory", "", None)?;
        }
        if wanted("tower-sessions, moka over SQLite") {
            services.start_other(
                "tower-sessions, moka over SQLite",
                "moka",
                &file("moka.db"),
                None,
            )?;
        }
        if wanted("tower-sessions, SQLite") {
            services.start_other("tower-sessions, SQLite", "sqlite", &file("sqlite.db"), None)?;
        }
        if wanted("tower-sessions, Redis") {
            let (redis, port) = start_redis()?;
            let backend = Some(redis.id());
            services.redis = Some((redis, port));
            let url = format!("redis://127.0.0.1:{port}");
            services.start_other("tower-sessions, Redis", "redis", &url, backend)?;
        }
        if wanted("tower-sessions, PostgreSQL") {
            let (postgresql, port) = start_postgresql()?;
            let backend = Some(postgresql.id());
            services.postgresql = Some((postgresql, port));
            let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
            services.start_other("tower-sessions, PostgreSQL", "postgres", &url, backend)?;
        }
        Ok(services)
    }

    pub(super) fn contenders(&self) -> impl Iterator<Item = &Contender> {
        self.contenders.iter()
    }

    /// Lastseen with everything on, as it is released: fsync, last use, metrics, access log.
    fn start_lastseen(
        &mut self,
        short: &[Seeded],
        long: &[Seeded],
        to_end: &[Seeded],
    ) -> Result<()> {
        let server = Server::start(
            "lastseen",
            Command::new(data::program("lastseen"))
                .arg("serve")
                .args(["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"])
                .arg("--database")
                .arg(format!("sqlite:{}", self.database.display())),
        )?;
        let get = |path: &'static str, sessions: &[Seeded]| {
            let lines: Vec<String> = sessions
                .iter()
                .map(|session| {
                    Request {
                        method: "GET",
                        path,
                        cookie: Some(&format!("lastseen={}", session.token)),
                        header: None,
                        body: None,
                    }
                    .line()
                })
                .collect();
            lines.into_iter()
        };
        let validate = data::requests("lastseen-validate.tsv", get("/api/v1/session", short))?;
        let list = data::requests("lastseen-list.tsv", get("/api/v1/sessions", short))?;
        let long = data::requests("lastseen-long.tsv", get("/api/v1/sessions?limit=50", long))?;
        let mut lastseen = Contender {
            name: "Lastseen",
            server,
            backend: None,
            loads: vec![
                (Operation::Validate, vec![(1, validate)]),
                (Operation::List10, vec![(1, list)]),
                (Operation::List50Of1000, vec![(1, long)]),
            ],
            ends: to_end.iter().map(end_of).collect(),
        };
        self.key = application_key(&self.database);
        if let Some(key) = &self.key {
            let create = data::requests("lastseen-create.tsv", creations(Some(key)))?;
            lastseen.set_load(Operation::Create, vec![(1, create)]);
        }
        self.contenders.push(lastseen);
        Ok(())
    }

    /// Two floors that differ in the length of their list.
    fn start_floors(&mut self, short: &[Seeded], long: &[Seeded]) -> Result<()> {
        let lastseen = self.contenders.last().context("Lastseen comes first")?;
        let address = lastseen.server.address.clone();
        let loads = lastseen.loads.clone();
        let first = |sessions: &[Seeded]| -> Result<String> {
            let session = sessions.first().context("nothing was seeded")?;
            Ok(format!("lastseen={}", session.token))
        };
        let (short, long) = (first(short)?, first(long)?);
        let file = |name: &str, path: &str, cookie: &str| -> Result<PathBuf> {
            let path_of_file = data::folder().join(name);
            std::fs::write(&path_of_file, data::body_of(&address, path, cookie)?)?;
            Ok(path_of_file)
        };
        let session = file("session.json", "/api/v1/session", &short)?;
        let list = file("list-10.json", "/api/v1/sessions", &short)?;
        let list_long = file("list-50.json", "/api/v1/sessions?limit=50", &long)?;
        let start = |name: &str, list: &Path| {
            Server::start(
                name,
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
            self.contenders.push(Contender {
                name: "floor",
                server,
                backend: None,
                loads,
                ends: Vec::new(),
            });
        }
        Ok(())
    }

    fn start_other(
        &mut self,
        name: &'static str,
        store: &str,
        url: &str,
        backend: Option<u32>,
    ) -> Result<()> {
        let sample = data::folder().join(format!("{store}-sample.txt"));
        let server = Server::start(
            store,
            Command::new(data::program("lastseen-bench-others"))
                .args([
                    "--store",
                    store,
                    "--url",
                    url,
                    "--sessions",
                    &(11_000 + OTHERS_TO_END).to_string(),
                ])
                .arg("--sample")
                .arg(&sample),
        )?;
        let mut cookies: Vec<String> = std::fs::read_to_string(&sample)?
            .lines()
            .map(str::to_owned)
            .collect();
        data::shuffle(&mut cookies);
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
        let (asked, ended) = cookies.split_at(cookies.len().min(11_000));
        let validate = data::requests(
            &format!("{store}-validate.tsv"),
            asked
                .iter()
                .map(|cookie| request("GET", "/api/v1/session", cookie)),
        )?;
        let create = data::requests(&format!("{store}-create.tsv"), creations(None))?;
        self.contenders.push(Contender {
            name,
            server,
            backend,
            loads: vec![
                (Operation::Validate, vec![(1, validate)]),
                (Operation::Create, vec![(1, create)]),
            ],
            ends: ended
                .iter()
                .map(|cookie| request("DELETE", "/api/v1/sessions/mine", cookie))
                .collect(),
        });
        Ok(())
    }

    /// Gets ready what a round of an operation uses up.
    pub(super) fn prepare(&mut self, operation: Operation) -> Result<()> {
        let count = match operation {
            Operation::Terminate => ENDED_IN_ONE_TURN,
            Operation::Mix => ENDED_IN_ONE_MIX,
            _ => return Ok(()),
        };
        for contender in &mut self.contenders {
            if contender.ends.is_empty() {
                continue;
            }
            let rest = contender.ends.len().saturating_sub(count);
            let slice = contender.ends.split_off(rest);
            let terminate = data::requests(
                &format!("terminate-{}.once.tsv", contender.processes().0),
                slice.into_iter(),
            )?;
            match operation {
                Operation::Terminate => contender.set_load(operation, vec![(1, terminate)]),
                _ => contender.set_mix(terminate),
            }
        }
        if operation == Operation::Mix {
            self.give_floor_the_mix();
        }
        Ok(())
    }

    /// The floor gets the requests that Lastseen gets.
    fn give_floor_the_mix(&mut self) {
        let mix = self
            .contenders
            .iter()
            .find(|contender| contender.name == "Lastseen")
            .and_then(|lastseen| lastseen.load(Operation::Mix))
            .map(<[_]>::to_vec);
        let floor = self
            .contenders
            .iter_mut()
            .find(|contender| contender.name == "floor");
        if let (Some(mix), Some(floor)) = (mix, floor) {
            floor.set_load(Operation::Mix, mix);
        }
    }

    /// Redis itself, asked by its own benchmark: requests a second for each number of connections.
    pub(super) fn redis_get(&self, connections: &[u32]) -> Result<Vec<(u32, f64)>> {
        let Some((_, port)) = &self.redis else {
            return Ok(Vec::new());
        };
        connections
            .iter()
            .map(|&connections| {
                let output = process::output(
                    Command::new("redis-benchmark")
                        .args(["-p", &port.to_string(), "-c", &connections.to_string()])
                        .args([
                            "-t", "set,get", "-n", "200000", "-r", "10000", "-d", "450", "--csv",
                        ]),
                )?;
                let rate = output
                    .lines()
                    .find_map(|line| line.strip_prefix("\"GET\",\""))
                    .and_then(|rest| rest.split('"').next())
                    .and_then(|rate| rate.parse().ok())
                    .context("redis-benchmark says no rate")?;
                Ok((connections, rate))
            })
            .collect()
    }

    /// Microseconds that one termination takes where nobody else asks for anything, in the middle of many.
    pub(super) fn terminate_alone(&mut self) -> Result<Option<f64>> {
        self.prepare(Operation::Terminate)?;
        let Some(lastseen) = self.contenders.iter().find(|one| one.name == "Lastseen") else {
            return Ok(None);
        };
        let run = super::load::run(lastseen, Operation::Terminate, 1, 3, 1)?;
        println!("{run}");
        Ok(Some(run.p50_us))
    }

    pub(super) fn stop(mut self) -> Result<()> {
        self.contenders.clear();
        if let Some((mut redis, _)) = self.redis.take() {
            _ = redis.kill();
            redis.wait()?;
        }
        if let Some((postgresql, port)) = self.postgresql.take() {
            stop_postgresql(postgresql, port)?;
        }
        Ok(())
    }
}

/// Microseconds that one fsynced commit takes here, in the middle of many.
pub(super) fn one_commit() -> Result<Option<f64>> {
    let file = data::folder().join("commit.db");
    let output = process::output(Command::new(data::program("commit")).arg(&file))?;
    Ok(serde_json::from_str::<Value>(&output)?["p50_us"].as_f64())
}

/// The end of a session by itself: each request is made under the session that it ends.
fn end_of(session: &Seeded) -> String {
    Request {
        method: "DELETE",
        path: &format!("/api/v1/sessions/{}", session.id),
        cookie: Some(&format!("lastseen={}", session.token)),
        header: None,
        body: None,
    }
    .line()
}

/// Sessions to create, one an account, for ten thousand accounts in turn.
fn creations(key: Option<&str>) -> impl Iterator<Item = String> {
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

/// The key of an application of the bench's own; none where this Lastseen has no applications yet.
fn application_key(database: &Path) -> Option<String> {
    let output = process::output(
        Command::new(data::program("lastseen"))
            .args(["application", "add", "bench", "--database"])
            .arg(format!("sqlite:{}", database.display())),
    );
    let text = output.ok()?;
    let key = text
        .split(|letter: char| letter.is_whitespace() || letter == '"')
        .find(|word| word.starts_with("lsa_"));
    key.map(str::to_owned)
}

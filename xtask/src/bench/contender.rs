//! The servers that are compared: started, filled, asked for what they are, stopped.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Operation;
use super::data::{self, Request, Seeded};
use super::machine::{POSTGRESQL, is_root};
use crate::process;

/// Accounts with ten sessions each are asked for by `validate` and `list-10`; one account has this many.
const LONG_ACCOUNT: u64 = 1_000;

/// Sessions that `terminate` and the mix may end in one run of the bench.
const TO_END: u64 = 400_000;

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
    /// Sessions of Lastseen's that `terminate` may end; those at the front are used up.
    to_end: Vec<Seeded>,
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
            to_end,
            database,
            key: None,
        };
        services.start_lastseen(&short, &long)?;
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
    fn start_lastseen(&mut self, short: &[Seeded], long: &[Seeded]) -> Result<()> {
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
                .args(["--store", store, "--url", url, "--sessions", "211000"])
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
        let end = data::requests(
            &format!("{store}-terminate.once.tsv"),
            ended
                .iter()
                .map(|cookie| request("DELETE", "/api/v1/sessions/mine", cookie)),
        )?;
        self.contenders.push(Contender {
            name,
            server,
            backend,
            loads: vec![
                (Operation::Validate, vec![(1, validate)]),
                (Operation::Create, vec![(1, create)]),
                (Operation::Terminate, vec![(1, end)]),
            ],
        });
        Ok(())
    }

    /// Gets ready what an operation uses up.
    pub(super) fn prepare(&mut self, operation: Operation) -> Result<()> {
        if !matches!(operation, Operation::Terminate | Operation::Mix) {
            return Ok(());
        }
        let half = self.to_end.len() / 2;
        let slice = self.to_end.split_off(half);
        let name = format!("lastseen-terminate-{half}.once.tsv");
        let terminate = data::requests(&name, slice.iter().map(end_of))?;
        for contender in &mut self.contenders {
            let kinds = (
                contender.load(Operation::Validate).map(<[_]>::to_vec),
                contender.load(Operation::List10).map(<[_]>::to_vec),
                contender.load(Operation::Create).map(<[_]>::to_vec),
            );
            if contender.name == "Lastseen" && operation == Operation::Terminate {
                contender.set_load(operation, vec![(1, terminate.clone())]);
            }
            if operation == Operation::Mix
                && let (Some(validate), Some(list), Some(create)) = kinds
            {
                let file =
                    |load: Vec<(u32, PathBuf)>| load.into_iter().map(|(_, file)| file).next();
                let parts = [(95, file(validate)), (3, file(list)), (1, file(create))];
                let mut mix: Vec<_> = parts
                    .into_iter()
                    .filter_map(|(weight, file)| Some((weight, file?)))
                    .collect();
                mix.push((1, terminate.clone()));
                contender.set_load(operation, mix);
            }
        }
        Ok(())
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
        if let Some((mut postgresql, _)) = self.postgresql.take() {
            _ = process::succeeds("kill", &["-INT", &postgresql.id().to_string()]);
            postgresql.wait()?;
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

/// A port that is free now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

fn start_redis() -> Result<(Child, u16)> {
    let port = free_port()?;
    let child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        // No snapshots in the middle of a turn: they would be to its disadvantage.
        .args(["--save", "", "--dir"])
        .arg(data::folder())
        .stdout(File::create(data::folder().join("redis-server.log"))?)
        .spawn()
        .context("redis-server cannot be started")?;
    wait_for(port)?;
    Ok((child, port))
}

fn start_postgresql() -> Result<(Child, u16)> {
    let port = free_port()?;
    // It refuses to run as root; a folder that its user can reach is in the system's place for such.
    let folder = std::env::temp_dir().join(format!("lastseen-bench-postgresql-{port}"));
    std::fs::create_dir_all(&folder)?;
    let program = |name: &str| {
        let program = Path::new(POSTGRESQL).join(name);
        if is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
                .arg(program);
            command
        } else {
            Command::new(program)
        }
    };
    if is_root() {
        process::run(
            "give PostgreSQL its folder",
            Command::new("chown").arg("postgres:").arg(&folder),
        )?;
    }
    let files = folder.join("files");
    process::output(
        program("initdb")
            .current_dir(&folder)
            .args(["--username=postgres", "--auth=trust", "--pgdata"])
            .arg(&files),
    )?;
    let child = program("postgres")
        .current_dir(&folder)
        .arg("-D")
        .arg(&files)
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"])
        .arg(&folder)
        .stdout(Stdio::null())
        .stderr(File::create(data::folder().join("postgresql.log"))?)
        .spawn()
        .context("PostgreSQL cannot be started")?;
    wait_for(port)?;
    Ok((child, port))
}

/// Waits until somebody listens there.
fn wait_for(port: u16) -> Result<()> {
    for _ in 0..200 {
        if std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    bail!("nobody listens on port {port} after ten seconds")
}

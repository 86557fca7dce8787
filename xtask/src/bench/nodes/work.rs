//! What PostgreSQL does for a validation and for a sign-in: statements, and bytes of its log.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::Arguments;
use super::super::compare::{count, fill};
use super::super::contender::{application_key_in, creations, gets};
use super::super::data::{self, Request};
use super::super::probe::{Mode, Probe};
use super::super::results::Outcome;
use super::super::seeded;
use super::super::server::Server;
use super::cluster::Cluster;
use crate::process;

const DATABASE: &str = "counted";
/// Sessions, as a multiple of those of a small database: what the node does by itself is to be little beside them.
const TIMES_SMALL: u64 = 5;
/// How long nothing is asked, to see what a node does by itself: longer than half a touch interval, after which uses
/// are written, whether there are any or not.
const IDLE: Duration = Duration::from_secs(35);
/// Seconds of validations as fast as they go.
const LOAD: f64 = 10.0;
/// Sign-ins one after the other, of which each has a commit to itself.
const ALONE: usize = 300;
/// Sign-ins of many at once.
const AT_ONCE: usize = 6_000;
/// Sign-ins with a password: a hash takes a part of a second.
const WITH_PASSWORD: usize = 40;
/// Statements that do something.
const WITHOUT_FRAME: &str = "statements without BEGIN, SET and COMMIT";
const PASSWORD: &str = "correct horse battery staple";

/// What the database has done since its start.
#[derive(Clone, Copy)]
struct Work {
    statements: f64,
    /// Those without what is said to begin and to end a transaction.
    without_frame: f64,
    bytes: f64,
}

/// One node over a PostgreSQL that counts.
struct Counted {
    cluster: Cluster,
    node: Server,
    /// What it does in a second for nobody.
    by_itself: Work,
}

pub(super) fn run(arguments: &Arguments, outcome: &mut Outcome) -> Result<()> {
    let cluster = Cluster::start(&["shared_preload_libraries=pg_stat_statements"])?;
    let filled = seeded::lastseen(arguments.small * TIMES_SMALL, 0)?;
    cluster.fill(DATABASE, &filled)?;
    cluster.ask("postgres", "CREATE EXTENSION pg_stat_statements")?;
    let key = application_key_in(&cluster.url(DATABASE))?;
    add_account(&cluster.url(DATABASE))?;
    let (node, _) = cluster.node("counted", DATABASE)?;
    fill(&node, "/api/v1/session", &filled.short)?;
    // Their uses are written once before it counts: a page that is written the first time is logged as a whole.
    std::thread::sleep(IDLE);
    let mut counted = Counted {
        cluster,
        node,
        by_itself: Work {
            statements: 0.0,
            without_frame: 0.0,
            bytes: 0.0,
        },
    };
    counted.look_at_idle(outcome)?;

    let validate = data::requests("validate.tsv", gets("/api/v1/session", &filled.short))?;
    let what = "validate, each session used once";
    counted.measure(outcome, what, Mode::Once, 64, validate.clone(), true)?;
    let what = "validate, as fast as it goes";
    counted.measure(outcome, what, Mode::Full(LOAD), 32, validate, true)?;

    let create = |number: usize| {
        let lines = creations(Some(&key)).take(number);
        data::requests(&format!("create-{number}.tsv"), lines)
    };
    let what = "sign-in by an application, one after the other";
    counted.measure(outcome, what, Mode::Once, 1, create(ALONE)?, false)?;
    let what = "sign-in by an application, 64 at once";
    counted.measure(outcome, what, Mode::Once, 64, create(AT_ONCE)?, false)?;
    let body = format!("{{\"username\":\"ada\",\"password\":\"{PASSWORD}\"}}");
    let sign_in = Request {
        method: "POST",
        path: "/api/v1/sign-in",
        cookie: None,
        header: None,
        body: Some(&body),
    };
    let sign_ins = std::iter::repeat_n(sign_in.line(), WITH_PASSWORD);
    let file = data::requests("sign-in.tsv", sign_ins)?;
    let what = "sign-in with a password, two at once";
    counted.measure(outcome, what, Mode::Once, 2, file, false)
}

impl Counted {
    fn work(&self) -> Result<Work> {
        let text = self.cluster.ask(
            "postgres",
            &format!(
                "SELECT coalesce(sum(calls), 0), \
                 coalesce(sum(calls) FILTER (WHERE query !~ '^(BEGIN|SET|COMMIT|ROLLBACK)'), 0), pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') \
                 FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = '{DATABASE}')"
            ),
        )?;
        let mut fields = text.trim().split('|').map(str::parse);
        let mut next = || fields.next().context("too few columns");
        Ok(Work {
            statements: next()??,
            without_frame: next()??,
            bytes: next()??,
        })
    }

    /// What it takes to be a node, without any request.
    fn look_at_idle(&mut self, outcome: &mut Outcome) -> Result<()> {
        let (work, elapsed) = process::timed(|| -> Result<_> {
            let before = self.work()?;
            std::thread::sleep(IDLE);
            Ok((before, self.work()?))
        });
        let (before, after) = work?;
        let seconds = elapsed.as_secs_f64();
        self.by_itself = Work {
            statements: (after.statements - before.statements) / seconds,
            without_frame: (after.without_frame - before.without_frame) / seconds,
            bytes: (after.bytes - before.bytes) / seconds,
        };
        let name = "a node by itself (three renewals a second)";
        let Work {
            statements,
            without_frame,
            bytes,
        } = self.by_itself;
        outcome.note(&format!("{name}: statements"), "a second", statements);
        outcome.note(
            &format!("{name}: {WITHOUT_FRAME}"),
            "a second",
            without_frame,
        );
        outcome.note(&format!("{name}: log"), "bytes a second", bytes);
        Ok(())
    }

    /// Sends requests, and notes what each took beyond what the node does by itself.
    fn measure(
        &self,
        outcome: &mut Outcome,
        what: &str,
        mode: Mode,
        connections: u32,
        file: std::path::PathBuf,
        with_uses: bool,
    ) -> Result<()> {
        let before = self.work()?;
        let (probed, elapsed) = process::timed(|| {
            let probed = Probe {
                address: self.node.address(),
                connections,
                mode,
                loads: vec![("request", 1, file)],
            }
            .run();
            if with_uses {
                // Until the last of them is written.
                std::thread::sleep(IDLE);
            }
            probed
        });
        let probed = probed?;
        let after = self.work()?;
        let kind = probed.kind("request")?;
        let failed: u64 = kind
            .statuses
            .iter()
            .filter(|(status, _)| **status >= 400)
            .map(|(_, number)| number)
            .sum();
        ensure!(failed == 0, "{what}: {failed} requests were refused");
        let requests = count(kind.requests);
        let seconds = elapsed.as_secs_f64();
        let each = |of: fn(&Work) -> f64| {
            (of(&after) - of(&before) - of(&self.by_itself) * seconds) / requests
        };
        let mut note = |of: &str, unit: &str, value| {
            outcome.note(&format!("{what}: {of}"), unit, value);
        };
        note("requests", "requests", requests);
        note("statements", "each", each(|work| work.statements));
        note(WITHOUT_FRAME, "each", each(|work| work.without_frame));
        note("log", "bytes each", each(|work| work.bytes));
        Ok(())
    }
}

fn add_account(database: &str) -> Result<()> {
    let mut command = Command::new(data::program("lastseen"));
    command
        .args(["account", "add", "ada", "--password-stdin"])
        .args(["--database", database])
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut child = command.spawn().context("lastseen cannot be started")?;
    child
        .stdin
        .take()
        .context("no stdin")?
        .write_all(PASSWORD.as_bytes())?;
    ensure!(child.wait()?.success(), "no account could be added");
    Ok(())
}

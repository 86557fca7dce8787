//! Fills a database with sessions, straight through the store, and keeps a sample of their tokens.
//!
//! ```text
//! seed --database sessions.db --accounts 1000 --sessions 10000 --sample tokens.tsv
//! ```
//! The sessions are remembered ones, spread over the last days in the order of their creation, as they would have come;
//! the accounts take turns. A line of the sample is `token TAB session id TAB account id`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use lastseen::policy::PolicyNumber;
use lastseen::store::{Inserted, Origin, Record};
use lastseen::{
    Account, AccountId, AccountSource, Clock as _, Device, EndedBy, Ending, Product, SessionId, SessionToken,
    Settings, Store, Timestamp,
};
use lastseen_axum::{SystemClock, SystemEntropy};
use lastseen_sqlite::{Database, Options, SqliteStore};

/// Inserts that wait for the writer at once: as many as it takes into one commit, twice over.
const IN_FLIGHT: usize = 1024;

/// Fills a database with sessions.
#[derive(Parser)]
struct Arguments {
    /// The file; made where there is none. No server may have it open.
    #[arg(long)]
    database: PathBuf,
    /// How many accounts the sessions belong to.
    #[arg(long, default_value_t = 1_000)]
    accounts: u64,
    /// What the accounts' ids begin with; a number follows.
    #[arg(long, default_value = "account-")]
    prefix: String,
    /// How many sessions in all.
    #[arg(long, default_value_t = 10_000)]
    sessions: u64,
    /// The number of the application whose accounts they are; 0 makes them built-in ones.
    #[arg(long, default_value_t = 0)]
    application: u32,
    /// Over how long a time before now they began.
    #[arg(long, default_value_t = 24)]
    hours: u64,
    /// Whether they have ended since: each a second after it began.
    #[arg(long)]
    ended: bool,
    /// Where to write a sample of the tokens.
    #[arg(long)]
    sample: Option<PathBuf>,
    /// How many tokens the sample has at most.
    #[arg(long, default_value_t = 200_000)]
    sample_size: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let database = Database::open(
        &arguments.database,
        &[SqliteStore::MIGRATIONS],
        Options::default(),
    )?;
    let store = SqliteStore::new(database.clone());
    let now = SystemClock::new().now();
    let opened = store.open(Some(&Settings::default().policy), now).await?;
    let policy = PolicyNumber(u32::try_from(opened.policies.len() - 1)?);

    let mut sample = arguments
        .sample
        .as_ref()
        .map(|path| File::create(path).map(BufWriter::new))
        .transpose()
        .context("the sample cannot be written")?;
    let sampled_each = (arguments.sessions / arguments.sample_size.max(1)).max(1);
    let seeder = Seeder::new(&arguments, policy, now)?;
    let began = Instant::now();
    let mut waiting = FuturesUnordered::new();
    for number in 0..arguments.sessions {
        let (record, token) = seeder.session(number);
        if number % sampled_each == 0
            && let Some(sample) = &mut sample
        {
            let (id, account) = (record.id, &record.account.key.id);
            writeln!(sample, "{}\t{id}\t{account}", token.reveal())?;
        }
        waiting.push(store.insert(record, None));
        if waiting.len() >= IN_FLIGHT {
            expect_done(waiting.next().await)?;
        }
        if number % 1_000_000 == 999_999 {
            eprintln!(
                "{} sessions after {:.0} s",
                number + 1,
                began.elapsed().as_secs_f64()
            );
        }
    }
    while let Some(inserted) = waiting.next().await {
        expect_done(Some(inserted))?;
    }
    if let Some(sample) = &mut sample {
        sample.flush()?;
    }
    drop(waiting);
    database.close().await;
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} sessions of {} accounts in {seconds:.1} s, {:.0} a second",
        arguments.sessions,
        arguments.accounts,
        arguments.sessions as f64 / seconds
    );
    Ok(())
}

fn expect_done(inserted: Option<Result<Inserted, lastseen::Unavailable>>) -> Result<()> {
    match inserted {
        Some(Ok(Inserted::Done | Inserted::First)) | None => Ok(()),
        Some(Ok(Inserted::IdTaken)) => anyhow::bail!("an id is taken: is the database empty?"),
        Some(Err(unavailable)) => Err(unavailable.into()),
    }
}

struct Seeder {
    accounts: Vec<Arc<Account>>,
    devices: Vec<Arc<Device>>,
    policy: PolicyNumber,
    sessions: u64,
    first: Timestamp,
    span: Duration,
    ended: bool,
}

impl Seeder {
    fn new(arguments: &Arguments, policy: PolicyNumber, now: Timestamp) -> Result<Self> {
        let source = AccountSource::from_number(arguments.application);
        let accounts = (0..arguments.accounts)
            .map(|number| {
                let id = AccountId::new(&format!("{}{number}", arguments.prefix))?;
                Ok(Arc::new(Account::new(source, id, &format!("Ada {number}"))))
            })
            .collect::<Result<_>>()?;
        let devices = [
            ("Windows", "11"),
            ("macOS", "15"),
            ("Linux", ""),
            ("Android", "16"),
        ]
        .into_iter()
        .flat_map(|(system, version)| {
            let version = Some(version).filter(|version| !version.is_empty());
            (130..143).map(move |major: u32| {
                Arc::new(Device {
                    operating_system: Some(Product::new(system, version)),
                    browser: Some(Product::new("Chrome", Some(&major.to_string()))),
                })
            })
        })
        .collect();
        let span = Duration::from_secs(arguments.hours * 3_600);
        Ok(Self {
            accounts,
            devices,
            policy,
            sessions: arguments.sessions,
            first: now.saturating_sub(span),
            span,
            ended: arguments.ended,
        })
    }

    fn session(&self, number: u64) -> (Record, SessionToken) {
        let place = |length: usize| usize::try_from(number).unwrap_or(0) % length;
        let account = Arc::clone(&self.accounts[place(self.accounts.len())]);
        let since_first = self.span.as_secs_f64() * number as f64 / self.sessions as f64;
        let created_at = self
            .first
            .saturating_add(Duration::from_secs_f64(since_first));
        let id = SessionId::generate(&account.key, created_at, &SystemEntropy);
        let token = SessionToken::generate(*id.as_bytes(), &SystemEntropy);
        let origin = Origin {
            ip_address: Some(IpAddr::V4(Ipv4Addr::from_bits(
                0xcb00_7100 | u32::try_from(number % 256).unwrap_or(0),
            ))),
            device: Arc::clone(&self.devices[place(self.devices.len())]),
        };
        let record = Record {
            id,
            account,
            token_hash: token.hash(),
            page_token_hash: None,
            token_generation: 0,
            policy: self.policy,
            remembered: true,
            created_at,
            first: origin.clone(),
            last_used_at: created_at,
            last: origin,
            expired: false,
            ended: self.ended.then(|| {
                let at = created_at.saturating_add(Duration::from_secs(1));
                Ending {
                    at,
                    by: EndedBy::Command,
                    left_list_at: at,
                }
            }),
        };
        (record, token)
    }
}

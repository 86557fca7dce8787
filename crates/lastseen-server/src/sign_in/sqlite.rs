//! What sign-in remembers, in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use lastseen::token::SecretHash;
use lastseen::{AccountId, Timestamp, Unavailable};
use lastseen_sqlite::{Database, Error, Transaction};
use parking_lot::Mutex;
use rusqlite::{OptionalExtension as _, params};

use super::known_browser::{BrowserMark, MOST_BROWSERS};
use super::store::{OfferedLink, SignInStore, StoredBrowser, StoredCount};
use super::throttle::{Counter, Counters, Counts, Pressure, RecentFailures};
use crate::storage::sqlite::Tables;

/// Rows that one failure clears away, so that the tables shrink as fast as they can grow.
const SWEPT_PER_FAILURE: u32 = 8;

/// What sign-in remembers in one database, which must have been opened with
/// [`crate::accounts::MIGRATIONS`].
#[derive(Clone)]
pub struct SqliteSignInStore {
    tables: Tables,
    /// One process has the database to itself, so it is the only one that can be shown its link.
    set_up: Arc<Mutex<Option<OfferedLink>>>,
}

impl SqliteSignInStore {
    /// What is remembered in `database`.
    pub fn new(database: Database) -> Self {
        Self {
            tables: Tables::of(database),
            set_up: Arc::default(),
        }
    }
}

#[async_trait]
impl SignInStore for SqliteSignInStore {
    async fn failures(&self, counters: Counters, now: Timestamp) -> Result<Counts, Unavailable> {
        self.tables.health().await?;
        self.tables
            .read(move |transaction| read_counts(transaction, &counters, now))
            .await
    }

    async fn count_failure(
        &self,
        counters: Counters,
        now: Timestamp,
    ) -> Result<Counts, Unavailable> {
        // The one writer has the database to itself from the reading to the writing: none gets lost.
        self.tables
            .write(move |transaction| {
                let before = read_counts(transaction, &counters, now)?;
                write_counts(transaction, &counters, &before.with_one_failure(now))?;
                sweep(transaction, now, SWEPT_PER_FAILURE)?;
                Ok(before)
            })
            .await
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn forget(&self, now: Timestamp) -> Result<u64, Unavailable> {
        let mut forgotten = 0;
        loop {
            // In steps, so that no other writer waits for long.
            let step = self
                .tables
                .write(move |transaction| sweep(transaction, now, 1_000))
                .await?;
            forgotten += step;
            if step == 0 {
                return Ok(forgotten);
            }
        }
    }

    async fn knows_browser(
        &self,
        account: &AccountId,
        mark: &BrowserMark,
    ) -> Result<bool, Unavailable> {
        let (account, id, hash) = (account.clone(), mark.name(), mark.hash());
        let kept = self
            .tables
            .read(move |transaction| {
                let kept: Option<[u8; 32]> = transaction
                    .prepare_cached(
                        "SELECT secret_hash FROM known_browser WHERE account_id = ?1 AND browser_id = ?2",
                    )?
                    .query_row(params![account.as_str(), id], |row| row.get(0))
                    .optional()?;
                Ok(kept)
            })
            .await?;
        // Compares in constant time.
        Ok(kept.is_some_and(|kept| SecretHash::from_bytes(kept) == hash))
    }

    async fn know_browser(
        &self,
        account: &AccountId,
        brought: Option<&BrowserMark>,
        new: &BrowserMark,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        let account = account.clone();
        let brought = brought.map(|mark| (mark.name(), *mark.hash().as_bytes()));
        let (new_id, new_hash) = (new.name(), *new.hash().as_bytes());
        self.tables.write(move |transaction| {
            if let Some((id, hash)) = brought {
                transaction
                    .prepare_cached(
                        "UPDATE known_browser SET browser_id = ?3, secret_hash = ?4
                         WHERE browser_id = ?1 AND secret_hash = ?2",
                    )?
                    .execute(params![id, hash, new_id, new_hash])?;
            }
            transaction
                .prepare_cached(
                    "INSERT INTO known_browser (account_id, browser_id, secret_hash, returned, last_used_at)
                     SELECT id, ?2, ?3, 0, ?4 FROM built_in_account WHERE id = ?1
                     ON CONFLICT DO UPDATE SET returned = 1, last_used_at = excluded.last_used_at",
                )?
                .execute(params![account.as_str(), new_id, new_hash, now.as_millisecond()])?;
            // Those that never came back go first: programs that keep no cookies leave one at each sign-in.
            transaction
                .prepare_cached(
                    "DELETE FROM known_browser WHERE account_id = ?1 AND browser_id <> ?2 AND browser_id IN (
                         SELECT browser_id FROM known_browser WHERE account_id = ?1
                         ORDER BY browser_id = ?2 DESC, returned DESC, last_used_at DESC LIMIT -1 OFFSET ?3)",
                )?
                .execute(params![account.as_str(), new_id, MOST_BROWSERS])?;
            Ok(())
        })
        .await
    }

    async fn known_browsers(
        &self,
        after: Option<&StoredBrowser>,
        limit: u32,
    ) -> Result<Vec<StoredBrowser>, Unavailable> {
        let (account, id) = match after {
            Some(after) => (after.account.as_str().to_owned(), after.id.to_vec()),
            None => (String::new(), Vec::new()),
        };
        self.tables
            .read(move |transaction| {
                transaction
                    .prepare_cached(
                        "SELECT account_id, browser_id, secret_hash, returned, last_used_at FROM known_browser
                         WHERE (account_id, browser_id) > (?1, ?2) ORDER BY account_id, browser_id LIMIT ?3",
                    )?
                    .query_map(params![account, id, limit], |row| {
                        let account: String = row.get(0)?;
                        let Ok(account) = AccountId::new(&account) else {
                            return Ok(Err(Error::Corrupt("a browser's account has no id".into())));
                        };
                        Ok(Ok(StoredBrowser {
                            account,
                            id: row.get(1)?,
                            secret_hash: SecretHash::from_bytes(row.get(2)?),
                            returned: row.get(3)?,
                            last_used_at: Timestamp::from_millisecond(row.get(4)?),
                        }))
                    })?
                    .map(|row| row?)
                    .collect()
            })
            .await
    }

    async fn restore_browsers(&self, browsers: Vec<StoredBrowser>) -> Result<(), Unavailable> {
        self.tables
            .write(move |transaction| {
                let mut insert = transaction.prepare_cached(
                    "INSERT INTO known_browser (account_id, browser_id, secret_hash, returned, last_used_at)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?;
                for browser in &browsers {
                    insert.execute(params![
                        browser.account.as_str(),
                        browser.id,
                        browser.secret_hash.as_bytes(),
                        browser.returned,
                        browser.last_used_at.as_millisecond(),
                    ])?;
                }
                Ok(())
            })
            .await
    }

    async fn counted(
        &self,
        after: Option<Counter>,
        limit: u32,
    ) -> Result<Vec<(Counter, StoredCount)>, Unavailable> {
        let after = after.map_or(Vec::new(), |after| after.as_bytes().to_vec());
        self.tables
            .read(move |transaction| {
                let rows = transaction
                    .prepare_cached(
                        "SELECT counter, times, NULL FROM sign_in_failure WHERE counter > ?1
                         UNION ALL SELECT counter, NULL, empty_at FROM sign_in_pressure WHERE counter > ?1
                         ORDER BY counter LIMIT ?2",
                    )?
                    .query_map(params![after, limit], |row| {
                        let times: Option<Vec<u8>> = row.get(1)?;
                        let count = match times {
                            Some(times) => StoredCount::Failures(read_times(&times).collect()),
                            None => StoredCount::Pressure(Timestamp::from_millisecond(row.get(2)?)),
                        };
                        Ok((Counter::from_bytes(row.get(0)?), count))
                    })?
                    .collect::<Result<_, _>>()?;
                Ok(rows)
            })
            .await
    }

    async fn restore_counted(
        &self,
        counted: Vec<(Counter, StoredCount)>,
    ) -> Result<(), Unavailable> {
        self.tables
            .write(move |transaction| {
                for (counter, count) in counted {
                    match count {
                        StoredCount::Failures(times) => {
                            write_failures(transaction, counter, &RecentFailures::kept(times))?;
                        }
                        StoredCount::Pressure(empty_at) => {
                            write_pressure(transaction, counter, empty_at)?;
                        }
                    }
                }
                Ok(())
            })
            .await
    }

    async fn offer_set_up(
        &self,
        link: OfferedLink,
        _before: Option<[u8; 16]>,
    ) -> Result<(), Unavailable> {
        *self.set_up.lock() = Some(link);
        Ok(())
    }

    async fn find_set_up(&self, id: &[u8; 16]) -> Result<Option<OfferedLink>, Unavailable> {
        Ok(self.set_up.lock().filter(|link| link.id == *id))
    }

    async fn forget_set_up(&self) -> Result<(), Unavailable> {
        *self.set_up.lock() = None;
        Ok(())
    }
}

/// The failures that a try is judged by, as they are at `now`.
fn read_counts(
    transaction: &Transaction<'_>,
    counters: &Counters,
    now: Timestamp,
) -> Result<Counts, Error> {
    let empty_at: Option<i64> = transaction
        .prepare_cached("SELECT empty_at FROM sign_in_pressure WHERE counter = ?1")?
        .query_row([counters.name.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(Counts {
        pair: read_failures(transaction, counters.pair, now)?,
        name: empty_at.map_or(Pressure::none(now), |empty_at| {
            Pressure::at(Timestamp::from_millisecond(empty_at), now)
        }),
        known_visitor: match counters.known_visitor {
            Some(counter) => Some(read_failures(transaction, counter, now)?),
            None => None,
        },
    })
}

fn read_failures(
    transaction: &Transaction<'_>,
    counter: Counter,
    now: Timestamp,
) -> Result<RecentFailures, Error> {
    let times: Option<Vec<u8>> = transaction
        .prepare_cached("SELECT times FROM sign_in_failure WHERE counter = ?1")?
        .query_row([counter.as_bytes()], |row| row.get(0))
        .optional()?;
    let times = times.unwrap_or_default();
    Ok(RecentFailures::at(read_times(&times), now))
}

fn read_times(times: &[u8]) -> impl Iterator<Item = Timestamp> {
    let (times, _rest) = times.as_chunks::<8>();
    times
        .iter()
        .map(|time| Timestamp::from_millisecond(i64::from_be_bytes(*time)))
}

fn write_counts(
    transaction: &Transaction<'_>,
    counters: &Counters,
    counts: &Counts,
) -> Result<(), Error> {
    write_failures(transaction, counters.pair, &counts.pair)?;
    if let (Some(counter), Some(own)) = (counters.known_visitor, &counts.known_visitor) {
        write_failures(transaction, counter, own)?;
    }
    write_pressure(transaction, counters.name, counts.name.empty_at())
}

fn write_pressure(
    transaction: &Transaction<'_>,
    counter: Counter,
    empty_at: Timestamp,
) -> Result<(), Error> {
    transaction
        .prepare_cached(
            "INSERT INTO sign_in_pressure (counter, empty_at) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET empty_at = excluded.empty_at",
        )?
        .execute(params![counter.as_bytes(), empty_at.as_millisecond()])?;
    Ok(())
}

fn write_failures(
    transaction: &Transaction<'_>,
    counter: Counter,
    failures: &RecentFailures,
) -> Result<(), Error> {
    let Some(forgotten_at) = failures.forgotten_at() else {
        return Ok(());
    };
    let times: Vec<u8> = failures
        .times()
        .iter()
        .flat_map(|time| time.as_millisecond().to_be_bytes())
        .collect();
    transaction
        .prepare_cached(
            "INSERT INTO sign_in_failure (counter, times, forgotten_at) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET times = excluded.times, forgotten_at = excluded.forgotten_at",
        )?
        .execute(params![counter.as_bytes(), times, forgotten_at.as_millisecond()])?;
    Ok(())
}

/// Clears away at most `most` rows of each kind that say nothing any more. Says how many went.
fn sweep(transaction: &Transaction<'_>, now: Timestamp, most: u32) -> Result<u64, Error> {
    let mut swept = 0;
    for statement in [
        "DELETE FROM sign_in_failure WHERE counter IN (
             SELECT counter FROM sign_in_failure WHERE forgotten_at <= ?1 ORDER BY forgotten_at LIMIT ?2)",
        "DELETE FROM sign_in_pressure WHERE counter IN (
             SELECT counter FROM sign_in_pressure WHERE empty_at <= ?1 ORDER BY empty_at LIMIT ?2)",
    ] {
        swept += transaction.prepare_cached(statement)?.execute(params![now.as_millisecond(), most])?;
    }
    Ok(u64::try_from(swept).unwrap_or(u64::MAX))
}

//! What sign-in remembers, in PostgreSQL, where several nodes count at once.

mod moving;

use async_trait::async_trait;
use lastseen::store::Others;
use lastseen::token::SecretHash;
use lastseen::{AccountId, Timestamp, Unavailable};
use lastseen_postgres::tokio_postgres::Row;
use lastseen_postgres::tokio_postgres::types::Type;
use lastseen_postgres::{Database, Error, Transaction};

use super::known_browser::{BrowserMark, MOST_BROWSERS};
use super::store::{OfferedLink, SignInStore, StoredBrowser, StoredCount};
use super::throttle::{Counter, Counters, Counts, Pressure, RecentFailures};

/// Rows that one failure clears away, so that the tables shrink as fast as they can grow.
const SWEPT_PER_FAILURE: i64 = 8;

/// What sign-in remembers in one database, which must have been opened with
/// [`crate::accounts::POSTGRES_MIGRATIONS`].
#[derive(Clone)]
pub struct PostgresSignInStore {
    database: Database,
}

impl PostgresSignInStore {
    /// What is remembered in `database`.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl SignInStore for PostgresSignInStore {
    async fn failures(&self, counters: Counters, now: Timestamp) -> Result<Counts, Unavailable> {
        self.database.health().await?;
        // All three in one statement, and so of one moment.
        let (pair, name, known) = parts(&counters);
        let rows = self
            .database
            .query(
                "SELECT (SELECT times FROM sign_in_failure WHERE counter = $1),
                        (SELECT empty_at FROM sign_in_pressure WHERE counter = $2),
                        (SELECT times FROM sign_in_failure WHERE counter = $3)",
                &[
                    (&pair, Type::BYTEA),
                    (&name, Type::BYTEA),
                    (&known, Type::BYTEA),
                ],
            )
            .await?;
        let Some(row) = rows.first() else {
            return Err(Unavailable::because(
                "a question about failures had no answer",
            ));
        };
        let (pair, empty_at, own) = read_three(row)?;
        Ok(counts(&counters, pair, empty_at, own, now))
    }

    async fn count_failure(
        &self,
        counters: Counters,
        now: Timestamp,
    ) -> Result<Counts, Unavailable> {
        let counted = self
            .database
            .change(async |transaction| count_failure(&transaction, &counters, now).await);
        Ok(counted.await?)
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn forget(&self, now: Timestamp) -> Result<u64, Unavailable> {
        let mut forgotten = 0;
        loop {
            // In steps, so that nobody waits for long.
            let step = self
                .database
                .change(async |transaction| sweep(&transaction, now, 1_000).await)
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
        let rows = self
            .database
            .query(
                "SELECT secret_hash FROM known_browser WHERE account_id = $1 AND browser_id = $2",
                &[
                    (&account.as_str(), Type::TEXT),
                    (&&mark.name()[..], Type::BYTEA),
                ],
            )
            .await?;
        let kept = rows.first().map(|row| read_hash(row, 0)).transpose()?;
        // Compares in constant time.
        Ok(kept.is_some_and(|kept| kept == mark.hash()))
    }

    async fn know_browser(
        &self,
        account: &AccountId,
        brought: Option<&BrowserMark>,
        new: &BrowserMark,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        let known = self.database.change(async |transaction| {
            know_browser(&transaction, account, brought, new, now).await
        });
        Ok(known.await?)
    }

    async fn known_browsers(
        &self,
        after: Option<&StoredBrowser>,
        limit: u32,
    ) -> Result<Vec<StoredBrowser>, Unavailable> {
        let (account, id) = match after {
            Some(after) => (after.account.as_str(), &after.id[..]),
            None => ("", &[][..]),
        };
        let rows = self
            .database
            .query(
                "SELECT account_id, browser_id, secret_hash, returned, last_used_at FROM known_browser
                 WHERE (account_id, browser_id) > ($1, $2) ORDER BY account_id, browser_id LIMIT $3",
                &[
                    (&account, Type::TEXT),
                    (&id, Type::BYTEA),
                    (&i64::from(limit), Type::INT8),
                ],
            )
            .await?;
        Ok(rows
            .iter()
            .map(moving::read_browser)
            .collect::<Result<_, _>>()?)
    }

    async fn restore_browsers(&self, browsers: Vec<StoredBrowser>) -> Result<(), Unavailable> {
        let all = || browsers.iter();
        let accounts: Vec<&str> = all().map(|browser| browser.account.as_str()).collect();
        let ids: Vec<&[u8]> = all().map(|browser| &browser.id[..]).collect();
        let hashes: Vec<&[u8]> = all()
            .map(|browser| &browser.secret_hash.as_bytes()[..])
            .collect();
        let returned: Vec<bool> = all().map(|browser| browser.returned).collect();
        let used: Vec<i64> = all()
            .map(|browser| browser.last_used_at.as_millisecond())
            .collect();
        let kept = self.database.change(async |transaction| {
            transaction
                .execute(
                    "INSERT INTO known_browser (account_id, browser_id, secret_hash, returned, last_used_at)
                     SELECT * FROM unnest($1, $2, $3, $4, $5)",
                    &[
                        (&accounts, Type::TEXT_ARRAY),
                        (&ids, Type::BYTEA_ARRAY),
                        (&hashes, Type::BYTEA_ARRAY),
                        (&returned, Type::BOOL_ARRAY),
                        (&used, Type::INT8_ARRAY),
                    ],
                )
                .await
        });
        kept.await?;
        Ok(())
    }

    async fn counted(
        &self,
        after: Option<Counter>,
        limit: u32,
    ) -> Result<Vec<(Counter, StoredCount)>, Unavailable> {
        let after = after
            .as_ref()
            .map_or(&[][..], |after| &after.as_bytes()[..]);
        let rows = self
            .database
            .query(
                "SELECT counter, times, NULL::bigint FROM sign_in_failure WHERE counter > $1
                 UNION ALL SELECT counter, NULL, empty_at FROM sign_in_pressure WHERE counter > $1
                 ORDER BY counter LIMIT $2",
                &[(&after, Type::BYTEA), (&i64::from(limit), Type::INT8)],
            )
            .await?;
        Ok(rows
            .iter()
            .map(moving::read_counted)
            .collect::<Result<_, _>>()?)
    }

    async fn restore_counted(
        &self,
        counted: Vec<(Counter, StoredCount)>,
    ) -> Result<(), Unavailable> {
        let restored = self.database.change(async |transaction| {
            for (counter, count) in &counted {
                moving::restore_one(&transaction, *counter, count).await?;
            }
            Ok(())
        });
        Ok(restored.await?)
    }

    async fn offer_set_up(
        &self,
        link: OfferedLink,
        before: Option<[u8; 16]>,
    ) -> Result<(), Unavailable> {
        let before = before.as_ref().map(<[u8; 16]>::as_slice);
        let offered = self.database.change(async |transaction| {
            transaction
                .execute(
                    "DELETE FROM set_up_link WHERE id = $1",
                    &[(&before, Type::BYTEA)],
                )
                .await?;
            transaction
                .execute(
                    "INSERT INTO set_up_link (id, secret_hash, expires_at) VALUES ($1, $2, $3)",
                    &[
                        (&&link.id[..], Type::BYTEA),
                        (&&link.secret_hash.as_bytes()[..], Type::BYTEA),
                        (&link.expires_at.as_millisecond(), Type::INT8),
                    ],
                )
                .await
        });
        offered.await?;
        Ok(())
    }

    async fn find_set_up(&self, id: &[u8; 16]) -> Result<Option<OfferedLink>, Unavailable> {
        let rows = self
            .database
            .query(
                "SELECT secret_hash, expires_at FROM set_up_link WHERE id = $1",
                &[(&&id[..], Type::BYTEA)],
            )
            .await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let expires_at = row.try_get(1).map_err(Error::from)?;
        Ok(Some(OfferedLink {
            id: *id,
            secret_hash: read_hash(row, 0)?,
            expires_at: Timestamp::from_millisecond(expires_at),
        }))
    }

    async fn forget_set_up(&self) -> Result<(), Unavailable> {
        let forgotten = self
            .database
            .change(async |transaction| transaction.execute("DELETE FROM set_up_link", &[]).await);
        forgotten.await?;
        Ok(())
    }

    async fn wait_behind(&self, others: Others<'_>) -> Result<(), Unavailable> {
        Ok(self.database.wait_behind(others).await?)
    }
}

/// The three counters of a try: of the pair, of the name, of the known visitor.
fn parts(counters: &Counters) -> (&[u8], &[u8], Option<&[u8]>) {
    let known = counters.known_visitor.as_ref();
    (
        counters.pair.as_bytes(),
        counters.name.as_bytes(),
        known.map(|counter| &counter.as_bytes()[..]),
    )
}

/// When failures were, as one row has them; nothing where there is none.
type Times = Option<Vec<i64>>;

fn read_three(row: &Row) -> Result<(Times, Option<i64>, Times), Error> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}

/// What rows say at `now`.
fn counts(
    counters: &Counters,
    pair: Times,
    empty_at: Option<i64>,
    own: Times,
    now: Timestamp,
) -> Counts {
    let recent = |times: Times| {
        let times = times.unwrap_or_default();
        RecentFailures::at(times.into_iter().map(Timestamp::from_millisecond), now)
    };
    Counts {
        pair: recent(pair),
        name: empty_at.map_or(Pressure::none(now), |empty_at| {
            Pressure::at(Timestamp::from_millisecond(empty_at), now)
        }),
        known_visitor: counters.known_visitor.map(|_| recent(own)),
    }
}

/// Locks the rows, so that whoever counts next sees this failure; then counts it.
async fn count_failure(
    transaction: &Transaction,
    counters: &Counters,
    now: Timestamp,
) -> Result<Counts, Error> {
    // Always in the same order, so that nobody waits for one who waits for him: failures by counter, pressure last.
    let mut of_failures: Vec<Counter> = [Some(counters.pair), counters.known_visitor]
        .into_iter()
        .flatten()
        .collect();
    of_failures.sort_unstable();
    let mut times: Vec<(Counter, Vec<i64>)> = Vec::with_capacity(2);
    for counter in of_failures {
        let rows = transaction
            .query(
                "INSERT INTO sign_in_failure AS kept (counter, times, forgotten_at) VALUES ($1, '{}', $2)
                 ON CONFLICT (counter) DO UPDATE SET forgotten_at = kept.forgotten_at RETURNING times",
                &[
                    (&&counter.as_bytes()[..], Type::BYTEA),
                    (&now.as_millisecond(), Type::INT8),
                ],
            )
            .await?;
        let kept = rows.first().map(|row| row.try_get(0)).transpose()?;
        times.push((counter, kept.unwrap_or_default()));
    }
    let rows = transaction
        .query(
            "INSERT INTO sign_in_pressure AS kept (counter, empty_at) VALUES ($1, $2)
             ON CONFLICT (counter) DO UPDATE SET empty_at = kept.empty_at RETURNING empty_at",
            &[
                (&&counters.name.as_bytes()[..], Type::BYTEA),
                (&now.as_millisecond(), Type::INT8),
            ],
        )
        .await?;
    let empty_at = rows.first().map(|row| row.try_get(0)).transpose()?;
    let of = |counter: Counter| {
        let found = times.iter().find(|(of, _)| *of == counter);
        found.map(|(_, times)| times.clone())
    };
    let before = counts(
        counters,
        of(counters.pair),
        empty_at,
        counters.known_visitor.and_then(of),
        now,
    );
    write_counts(transaction, counters, &before.with_one_failure(now)).await?;
    sweep(transaction, now, SWEPT_PER_FAILURE).await?;
    Ok(before)
}

async fn write_counts(
    transaction: &Transaction,
    counters: &Counters,
    counts: &Counts,
) -> Result<(), Error> {
    let own = counters.known_visitor.zip(counts.known_visitor.as_ref());
    for (counter, failures) in [Some((counters.pair, &counts.pair)), own]
        .into_iter()
        .flatten()
    {
        let Some(forgotten_at) = failures.forgotten_at() else {
            continue;
        };
        let times = failures.times().iter();
        let times: Vec<i64> = times.map(|time| time.as_millisecond()).collect();
        transaction
            .execute(
                "UPDATE sign_in_failure SET times = $2, forgotten_at = $3 WHERE counter = $1",
                &[
                    (&&counter.as_bytes()[..], Type::BYTEA),
                    (&times, Type::INT8_ARRAY),
                    (&forgotten_at.as_millisecond(), Type::INT8),
                ],
            )
            .await?;
    }
    transaction
        .execute(
            "UPDATE sign_in_pressure SET empty_at = $2 WHERE counter = $1",
            &[
                (&&counters.name.as_bytes()[..], Type::BYTEA),
                (&counts.name.empty_at().as_millisecond(), Type::INT8),
            ],
        )
        .await?;
    Ok(())
}

/// Clears away at most `most` rows of each kind that say nothing any more, but none that somebody is counting in.
/// Says how many went.
async fn sweep(transaction: &Transaction, now: Timestamp, most: i64) -> Result<u64, Error> {
    let mut swept = 0;
    for statement in [
        "DELETE FROM sign_in_failure WHERE counter IN (
             SELECT counter FROM sign_in_failure WHERE forgotten_at <= $1 ORDER BY forgotten_at LIMIT $2
             FOR UPDATE SKIP LOCKED)",
        "DELETE FROM sign_in_pressure WHERE counter IN (
             SELECT counter FROM sign_in_pressure WHERE empty_at <= $1 ORDER BY empty_at LIMIT $2
             FOR UPDATE SKIP LOCKED)",
    ] {
        let bounds = [(&now.as_millisecond() as _, Type::INT8), (&most as _, Type::INT8)];
        swept += transaction.execute(statement, &bounds).await?;
    }
    Ok(swept)
}

async fn know_browser(
    transaction: &Transaction,
    account: &AccountId,
    brought: Option<&BrowserMark>,
    new: &BrowserMark,
    now: Timestamp,
) -> Result<(), Error> {
    let (new_id, new_hash) = (new.name(), new.hash());
    let new_mark = [
        (&&new_id[..] as _, Type::BYTEA),
        (&&new_hash.as_bytes()[..] as _, Type::BYTEA),
    ];
    if let Some(brought) = brought {
        let (id, hash) = (brought.name(), brought.hash());
        let [new_id, new_hash] = new_mark.clone();
        transaction
            .execute(
                "UPDATE known_browser SET browser_id = $3, secret_hash = $4
                 WHERE browser_id = $1 AND secret_hash = $2",
                &[
                    (&&id[..], Type::BYTEA),
                    (&&hash.as_bytes()[..], Type::BYTEA),
                    new_id,
                    new_hash,
                ],
            )
            .await?;
    }
    let [new_id, new_hash] = new_mark;
    transaction
        .execute(
            "INSERT INTO known_browser (account_id, browser_id, secret_hash, returned, last_used_at)
             SELECT id, $2, $3, false, $4 FROM built_in_account WHERE id = $1
             ON CONFLICT (account_id, browser_id)
             DO UPDATE SET returned = true, last_used_at = excluded.last_used_at",
            &[
                (&account.as_str(), Type::TEXT),
                new_id.clone(),
                new_hash,
                (&now.as_millisecond(), Type::INT8),
            ],
        )
        .await?;
    // Those that never came back go first: programs that keep no cookies leave one at each sign-in.
    transaction
        .execute(
            "DELETE FROM known_browser WHERE account_id = $1 AND browser_id <> $2 AND browser_id IN (
                 SELECT browser_id FROM known_browser WHERE account_id = $1
                 ORDER BY browser_id = $2 DESC, returned DESC, last_used_at DESC OFFSET $3)",
            &[
                (&account.as_str(), Type::TEXT),
                new_id,
                (&i64::from(MOST_BROWSERS), Type::INT8),
            ],
        )
        .await?;
    Ok(())
}

/// Reads a hash; another length cannot have been written by this program.
fn read_hash(row: &Row, column: usize) -> Result<SecretHash, Error> {
    let bytes: &[u8] = row.try_get(column)?;
    let bytes = bytes
        .try_into()
        .map_err(|_| Error::Corrupt("a hash has another length than any can have".into()))?;
    Ok(SecretHash::from_bytes(bytes))
}

//! Known browsers and counts of failures on their way from one store to another.

use lastseen::{AccountId, Timestamp};
use lastseen_postgres::tokio_postgres::Row;
use lastseen_postgres::tokio_postgres::types::Type;
use lastseen_postgres::{Error, Transaction};

use super::super::store::{StoredBrowser, StoredCount};
use super::super::throttle::{Counter, RecentFailures};
use super::{Times, read_hash};

pub(super) fn read_browser(row: &Row) -> Result<StoredBrowser, Error> {
    let corrupt = || Error::Corrupt("a known browser is none that can be known".into());
    let id: &[u8] = row.try_get(1)?;
    Ok(StoredBrowser {
        account: AccountId::new(row.try_get(0)?).map_err(|_| corrupt())?,
        id: id.try_into().map_err(|_| corrupt())?,
        secret_hash: read_hash(row, 2)?,
        returned: row.try_get(3)?,
        last_used_at: Timestamp::from_millisecond(row.try_get(4)?),
    })
}

pub(super) fn read_counted(row: &Row) -> Result<(Counter, StoredCount), Error> {
    let counter: &[u8] = row.try_get(0)?;
    let counter = <[u8; 16]>::try_from(counter)
        .map_err(|_| Error::Corrupt("a counter of failures has no name".into()))?;
    let times: Times = row.try_get(1)?;
    let count = match times {
        Some(times) => {
            let times = times.into_iter().map(Timestamp::from_millisecond);
            StoredCount::Failures(times.collect())
        }
        None => StoredCount::Pressure(Timestamp::from_millisecond(row.try_get(2)?)),
    };
    Ok((Counter::from_bytes(counter), count))
}

pub(super) async fn restore_one(
    transaction: &Transaction,
    counter: Counter,
    count: &StoredCount,
) -> Result<(), Error> {
    let counter = &counter.as_bytes()[..];
    match count {
        StoredCount::Failures(times) => {
            let Some(forgotten_at) = RecentFailures::kept(times.clone()).forgotten_at() else {
                return Ok(());
            };
            let times: Vec<i64> = times.iter().map(|time| time.as_millisecond()).collect();
            transaction
                .execute(
                    "INSERT INTO sign_in_failure (counter, times, forgotten_at) VALUES ($1, $2, $3)",
                    &[
                        (&counter, Type::BYTEA),
                        (&times, Type::INT8_ARRAY),
                        (&forgotten_at.as_millisecond(), Type::INT8),
                    ],
                )
                .await?;
        }
        StoredCount::Pressure(empty_at) => {
            transaction
                .execute(
                    "INSERT INTO sign_in_pressure (counter, empty_at) VALUES ($1, $2)",
                    &[
                        (&counter, Type::BYTEA),
                        (&empty_at.as_millisecond(), Type::INT8),
                    ],
                )
                .await?;
        }
    }
    Ok(())
}

//! What is asked of the tables, and how a row becomes a record.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use lastseen::policy::PolicyNumber;
use lastseen::store::devices::Devices;
use lastseen::store::{Origin, Record};
use lastseen::token::SecretHash;
use lastseen::{
    Account, AccountId, AccountKey, AccountSource, EndedBy, Ending, SessionId, Timestamp,
};
use rusqlite::types::FromSqlError;
use rusqlite::{OptionalExtension, Row};

use crate::error::Error;
use crate::transaction::Transaction;

/// The columns of a session and its last use, in the order in which [`record`] reads them.
macro_rules! columns {
    () => {
        "session.id, session.token_hash, session.token_generation, session.policy, session.remembered, \
         session.created_at, session.first_ip_address, session.first_device, \
         session.ended_at, session.left_list_at, session.ended_cause, session.ended_by, \
         last_use.used_at, last_use.ip_address, last_use.device, \
         session.page_token_hash"
    };
}

/// Where the account's columns begin, in statements that join it.
const ACCOUNT: usize = 16;

// CROSS JOIN is SQLite's way to say: in this order, whatever you know about the tables.
pub(super) const FIND: &str = concat!(
    "SELECT ",
    columns!(),
    ", account.source, account.id, account.name
     FROM session CROSS JOIN account ON account.number = session.account
     LEFT JOIN last_use ON last_use.sequence = session.sequence
     WHERE session.sequence = ?1 AND session.id = ?2"
);
pub(super) const ACCOUNT_BY_KEY: &str =
    "SELECT number, name FROM account WHERE source = ?1 AND id = ?2";
pub(super) const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM session INDEXED BY session_by_account
     LEFT JOIN last_use ON last_use.sequence = session.sequence
     WHERE session.account = ?1 AND session.left_list_at IS NULL"
);
pub(super) const WALK: &str = concat!(
    "SELECT ",
    columns!(),
    ", account.source, account.id, account.name
     FROM session CROSS JOIN account ON account.number = session.account
     LEFT JOIN last_use ON last_use.sequence = session.sequence
     WHERE session.sequence > ?1 ORDER BY session.sequence LIMIT ?2"
);

/// The session called `id`.
pub(super) fn find(
    transaction: &Transaction<'_>,
    devices: &Devices,
    id: SessionId,
) -> Result<Option<Record>, Error> {
    let mut statement = transaction.prepare_cached(FIND)?;
    let mut rows = statement.query((id.sequence(), id.as_bytes()))?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let account = Arc::new(account(row, ACCOUNT)?);
    record(row, &account, devices).map(Some)
}

/// The account's number and name in this database.
pub(super) fn account_by_key(
    transaction: &Transaction<'_>,
    key: &AccountKey,
) -> Result<Option<(i64, String)>, Error> {
    let mut statement = transaction.prepare_cached(ACCOUNT_BY_KEY)?;
    let found = statement.query_row((key.source.number(), key.id.as_str()), |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    Ok(found.optional()?)
}

/// Every session of the account that has not left its list.
pub(super) fn list(
    transaction: &Transaction<'_>,
    devices: &Devices,
    key: &AccountKey,
) -> Result<Vec<Record>, Error> {
    let Some((number, name)) = account_by_key(transaction, key)? else {
        return Ok(Vec::new());
    };
    let account = Arc::new(Account {
        key: key.clone(),
        name: name.into(),
    });
    let mut statement = transaction.prepare_cached(LIST)?;
    let mut rows = statement.query([number])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(record(row, &account, devices)?);
    }
    Ok(records)
}

/// Sessions of every account in the order of their sequence.
pub(super) fn walk(
    transaction: &Transaction<'_>,
    devices: &Devices,
    after: Option<SessionId>,
    limit: usize,
) -> Result<Vec<Record>, Error> {
    let after = after.map_or(i64::MIN, |id| id.sequence());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = transaction.prepare_cached(WALK)?;
    let mut rows = statement.query((after, limit))?;
    let mut records: Vec<Record> = Vec::new();
    while let Some(row) = rows.next()? {
        let account = Arc::new(account(row, ACCOUNT)?);
        records.push(record(row, &account, devices)?);
    }
    Ok(records)
}

/// The account in the three columns from `first` on.
fn account(row: &Row<'_>, first: usize) -> Result<Account, Error> {
    let id = AccountId::new(text(row, first + 1)?).map_err(damage)?;
    let source = AccountSource::from_number(row.get(first)?);
    Ok(Account::new(source, id, text(row, first + 2)?))
}

/// The record in the columns of `columns!`.
fn record(row: &Row<'_>, account: &Arc<Account>, devices: &Devices) -> Result<Record, Error> {
    let created_at = time(row, 5)?;
    let first = Origin {
        ip_address: ip_address(optional_bytes(row, 6)?)?,
        device: devices.device_of(text(row, 7)?)?,
    };
    let (last_used_at, last) = match row.get::<_, Option<i64>>(12)? {
        None => (created_at, first.clone()),
        Some(used_at) => {
            let device = match row.get_ref(14)?.as_str_or_null().map_err(damage)? {
                Some(text) => devices.device_of(text)?,
                None => Arc::clone(&first.device),
            };
            let ip_address = ip_address(optional_bytes(row, 13)?)?;
            (
                Timestamp::from_millisecond(used_at),
                Origin { ip_address, device },
            )
        }
    };
    Ok(Record {
        id: SessionId::from_bytes(array(bytes(row, 0)?)?),
        account: Arc::clone(account),
        token_hash: SecretHash::from_bytes(array(bytes(row, 1)?)?),
        token_generation: row.get(2)?,
        page_token_hash: optional_bytes(row, 15)?
            .map(array)
            .transpose()?
            .map(SecretHash::from_bytes),
        policy: PolicyNumber(row.get(3)?),
        remembered: row.get(4)?,
        created_at,
        first,
        last_used_at,
        last,
        expired: false,
        ended: ending(row)?,
    })
}

fn ending(row: &Row<'_>) -> Result<Option<Ending>, Error> {
    if row.get::<_, Option<i64>>(9)?.is_none() {
        return Ok(None);
    }
    let by = optional_bytes(row, 11)?
        .map(array)
        .transpose()?
        .map(SessionId::from_bytes);
    let by =
        EndedBy::from_parts(text(row, 10)?, by).ok_or_else(|| damage("a cause that is none"))?;
    Ok(Some(Ending {
        at: time(row, 8)?,
        by,
        left_list_at: time(row, 9)?,
    }))
}

fn time(row: &Row<'_>, column: usize) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_millisecond(row.get(column)?))
}

fn text<'row>(row: &'row Row<'_>, column: usize) -> Result<&'row str, Error> {
    row.get_ref(column)?.as_str().map_err(damage)
}

fn bytes<'row>(row: &'row Row<'_>, column: usize) -> Result<&'row [u8], Error> {
    row.get_ref(column)?.as_blob().map_err(damage)
}

fn optional_bytes<'row>(row: &'row Row<'_>, column: usize) -> Result<Option<&'row [u8]>, Error> {
    row.get_ref(column)?.as_blob_or_null().map_err(damage)
}

fn array<const LENGTH: usize>(bytes: &[u8]) -> Result<[u8; LENGTH], Error> {
    bytes.try_into().map_err(|_| {
        damage(FromSqlError::InvalidBlobSize {
            expected_size: LENGTH,
            blob_size: bytes.len(),
        })
    })
}

/// The address that [`bytes_of`](super::write::bytes_of) wrote.
fn ip_address(bytes: Option<&[u8]>) -> Result<Option<IpAddr>, Error> {
    let Some(bytes) = bytes else { return Ok(None) };
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Ok(Some(Ipv4Addr::from(bytes).into()));
    }
    Ok(Some(Ipv6Addr::from(array::<16>(bytes)?).into()))
}

/// A row that this crate cannot have written.
fn damage(what: impl std::fmt::Display) -> Error {
    Error::Corrupt(format!("a session cannot be read: {what}").into())
}

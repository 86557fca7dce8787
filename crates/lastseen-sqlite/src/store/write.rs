//! What is changed in the tables: each function is one step within a transaction.

use std::net::IpAddr;
use std::time::Duration;

use lastseen::store::devices::text_of;
use lastseen::store::{End, Ended, Inserted, Opened, Origin, Record, Use};
use lastseen::token::SecretHash;
use lastseen::{Account, AccountKey, Ending, Policy, SessionId, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::read::account_by_key;
use crate::error::Error;
use crate::transaction::Transaction;

pub(super) const INSERT: &str = "INSERT INTO session (sequence, id, account, token_hash, token_generation, policy, \
     remembered, created_at, first_ip_address, first_device, ended_at, left_list_at, ended_cause, ended_by, page_token_hash) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) \
     ON CONFLICT (sequence) DO NOTHING";
pub(super) const INSERT_USE: &str =
    "INSERT INTO last_use (sequence, used_at, ip_address, device) VALUES (?1, ?2, ?3, ?4)";
/// A session without a row in `last_use` was last used when it was created.
pub(super) const USE: &str = "INSERT INTO last_use (sequence, used_at, ip_address, device) \
     SELECT sequence, ?3, ?4, nullif(?5, first_device) FROM session \
     WHERE sequence = ?1 AND id = ?2 AND left_list_at IS NULL AND created_at <= ?3 \
     ON CONFLICT (sequence) DO UPDATE \
     SET used_at = excluded.used_at, ip_address = excluded.ip_address, device = excluded.device \
     WHERE used_at <= excluded.used_at";
pub(super) const ACCOUNT_OF: &str = "SELECT account FROM session WHERE sequence = ?1 AND id = ?2";
pub(super) const END: &str = "UPDATE session SET ended_at = ?3, left_list_at = ?4, ended_cause = ?5, ended_by = ?6 \
     WHERE sequence = ?1 AND id = ?2 AND left_list_at IS NULL";
pub(super) const RENEW: &str = "UPDATE session SET token_hash = ?3, token_generation = ?4 \
     WHERE sequence = ?1 AND id = ?2 AND left_list_at IS NULL AND token_generation < ?4";
pub(super) const SET_PAGE_TOKEN: &str = "UPDATE session SET page_token_hash = ?3 \
     WHERE sequence = ?1 AND id = ?2 AND left_list_at IS NULL";
pub(super) const ACCOUNT_OF_ENDED: &str =
    "SELECT account FROM session WHERE sequence = ?1 AND id = ?2 AND left_list_at IS NOT NULL";
pub(super) const DELETE_USE: &str = "DELETE FROM last_use WHERE sequence = ?1";
pub(super) const DELETE: &str = "DELETE FROM session WHERE sequence = ?1";
pub(super) const DELETE_ACCOUNT: &str = "DELETE FROM account WHERE number = ?1 \
     AND NOT EXISTS (SELECT 1 FROM session WHERE session.account = account.number)";

/// Records `policy`, unless it is the newest, and `now`.
pub(super) fn open(
    transaction: &Transaction<'_>,
    policy: Option<&Policy>,
    now: Timestamp,
) -> Result<Opened, Error> {
    let mut policies: Vec<Policy> = transaction
        .prepare_cached(
            "SELECT idle_timeout, remembered_idle_timeout, absolute_lifetime FROM policy ORDER BY number",
        )?
        .query_map([], |row| {
            let duration = |column| -> rusqlite::Result<Duration> {
                // Less than nothing was never written; as nothing it is the tightest there is.
                Ok(Duration::from_millis(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0)))
            };
            Ok(Policy {
                idle_timeout: duration(0)?,
                remembered_idle_timeout: duration(1)?,
                absolute_lifetime: duration(2)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    if let Some(policy) = policy
        && policies.last() != Some(policy)
    {
        let milliseconds =
            |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        transaction
            .prepare_cached(
                "INSERT INTO policy (number, idle_timeout, remembered_idle_timeout, absolute_lifetime) \
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                // A history of more policies than that does not fit in memory.
                i64::try_from(policies.len()).unwrap_or(i64::MAX),
                milliseconds(policy.idle_timeout),
                milliseconds(policy.remembered_idle_timeout),
                milliseconds(policy.absolute_lifetime),
            ])?;
        policies.push(*policy);
    }
    record_time(transaction, now)?;
    let latest = transaction
        .prepare_cached("SELECT at FROM latest_time")?
        .query_row([], |row| row.get(0).map(Timestamp::from_millisecond))?;
    Ok(Opened { policies, latest })
}

/// The latest time only ever grows.
fn record_time(transaction: &Transaction<'_>, now: Timestamp) -> Result<(), Error> {
    transaction
        .prepare_cached("UPDATE latest_time SET at = ?1 WHERE at < ?1")?
        .execute([now.as_millisecond()])?;
    Ok(())
}

/// Inserts a session, whose device was written as `first_device`, and ends the one that it takes the place of.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    record: &Record,
    first_device: &str,
    replaces: Option<&End>,
) -> Result<Inserted, Error> {
    let sequence = record.id.sequence();
    let Account { key, name } = &*record.account;
    let known = account_by_key(transaction, key)?;
    let account = match &known {
        Some((number, _)) => *number,
        None => transaction
            .prepare_cached("INSERT INTO account (source, id, name) VALUES (?1, ?2, ?3)")?
            .insert(params![key.source.number(), key.id.as_str(), name])?,
    };
    let ended = record.ended.as_ref().map(columns_of);
    let (ended_at, left_list_at, cause, by) = match &ended {
        Some((ended_at, left_list_at, cause, by)) => {
            (Some(ended_at), Some(left_list_at), Some(cause), by.as_ref())
        }
        None => (None, None, None, None),
    };
    let inserted = transaction.prepare_cached(INSERT)?.execute(params![
        sequence,
        record.id.as_bytes(),
        account,
        record.token_hash.as_bytes(),
        record.token_generation,
        record.policy.0,
        record.remembered,
        record.created_at.as_millisecond(),
        bytes_of(record.first.ip_address).as_deref(),
        first_device,
        ended_at,
        left_list_at,
        cause,
        by.map(SessionId::as_bytes),
        record.page_token_hash.as_ref().map(SecretHash::as_bytes),
    ])?;
    if inserted == 0 {
        // The account stays as it was: unknown, or under its name.
        if known.is_none() {
            transaction
                .prepare_cached(DELETE_ACCOUNT)?
                .execute([account])?;
        }
        return Ok(Inserted::IdTaken);
    }
    if let Some((number, known_as)) = &known
        && **known_as != **name
    {
        transaction
            .prepare_cached("UPDATE account SET name = ?2 WHERE number = ?1")?
            .execute(params![number, name])?;
    }
    if record.last_used_at != record.created_at || record.last != record.first {
        let device = text_of(&record.last.device);
        transaction.prepare_cached(INSERT_USE)?.execute(params![
            sequence,
            record.last_used_at.as_millisecond(),
            bytes_of(record.last.ip_address).as_deref(),
            Some(device.as_str()).filter(|device| *device != first_device),
        ])?;
    }
    if let Some(end) = replaces {
        end_one(transaction, end)?;
    }
    Ok(match known {
        Some(_) => Inserted::Done,
        // An account is on record as long as one of its sessions is.
        None => Inserted::First,
    })
}

/// Records uses, one at least, until it `is_over`, and the time; how many.
pub(super) fn touch(
    transaction: &Transaction<'_>,
    uses: &[Use],
    now: Timestamp,
    is_over: impl Fn() -> bool,
) -> Result<usize, Error> {
    let mut recorded = 0;
    for used in uses {
        record_use(transaction, used)?;
        recorded += 1;
        if is_over() {
            break;
        }
    }
    record_time(transaction, now)?;
    Ok(recorded)
}

fn record_use(transaction: &Transaction<'_>, used: &Use) -> Result<(), Error> {
    let Origin { ip_address, device } = &used.origin;
    transaction.prepare_cached(USE)?.execute(params![
        used.id.sequence(),
        used.id.as_bytes(),
        used.at.as_millisecond(),
        bytes_of(*ip_address).as_deref(),
        text_of(device),
    ])?;
    Ok(())
}

/// Ends sessions, all or none.
pub(super) fn end(
    transaction: &Transaction<'_>,
    account: Option<&AccountKey>,
    ends: &[End],
) -> Result<Ended, Error> {
    if let Some(account) = account {
        let number = account_by_key(transaction, account)?.map(|(number, _)| number);
        let mut account_of = transaction.prepare_cached(ACCOUNT_OF)?;
        for end in ends {
            let owner: Option<i64> = account_of
                .query_row((end.id.sequence(), end.id.as_bytes()), |row| row.get(0))
                .optional()?;
            // An id that nobody has and one of another account look the same.
            if owner.is_none() || owner != number {
                return Ok(Ended::NotFound);
            }
        }
    }
    let mut ended = Vec::with_capacity(ends.len());
    for end in ends {
        if end_one(transaction, end)? {
            ended.push(end.id);
        }
    }
    Ok(Ended::Done(ended))
}

/// Ends one session; whether that made a difference.
fn end_one(transaction: &Transaction<'_>, end: &End) -> Result<bool, Error> {
    if let Some(used) = &end.last_use {
        record_use(transaction, used)?;
    }
    let (ended_at, left_list_at, cause, by) = columns_of(&end.ending);
    let changed = transaction.prepare_cached(END)?.execute(params![
        end.id.sequence(),
        end.id.as_bytes(),
        ended_at,
        left_list_at,
        cause,
        by.as_ref().map(SessionId::as_bytes),
    ])?;
    Ok(changed == 1)
}

/// Gives a session another token.
pub(super) fn renew(
    transaction: &Transaction<'_>,
    id: SessionId,
    hash: &SecretHash,
    generation: u32,
) -> Result<bool, Error> {
    let changed = transaction.prepare_cached(RENEW)?.execute(params![
        id.sequence(),
        id.as_bytes(),
        hash.as_bytes(),
        generation,
    ])?;
    Ok(changed == 1)
}

/// Gives a session a second token, for the pages.
pub(super) fn set_page_token(
    transaction: &Transaction<'_>,
    id: SessionId,
    hash: &SecretHash,
) -> Result<bool, Error> {
    let changed = transaction
        .prepare_cached(SET_PAGE_TOKEN)?
        .execute(params![id.sequence(), id.as_bytes(), hash.as_bytes(),])?;
    Ok(changed == 1)
}

/// Deletes what is on record of sessions that have ended, and of accounts that have no other, until it `is_over`; how
/// many it looked at, one at least, and how many of them it deleted.
pub(super) fn purge(
    transaction: &Transaction<'_>,
    ids: &[SessionId],
    is_over: impl Fn() -> bool,
) -> Result<(usize, u64), Error> {
    let (mut looked_at, mut purged) = (0, 0);
    for id in ids {
        purged += u64::from(purge_one(transaction, *id)?);
        looked_at += 1;
        if is_over() {
            break;
        }
    }
    Ok((looked_at, purged))
}

fn purge_one(transaction: &Transaction<'_>, id: SessionId) -> Result<bool, Error> {
    let sequence = id.sequence();
    let account: Option<i64> = transaction
        .prepare_cached(ACCOUNT_OF_ENDED)?
        .query_row((sequence, id.as_bytes()), |row| row.get(0))
        .optional()?;
    let Some(account) = account else {
        return Ok(false);
    };
    for (statement, number) in [
        (DELETE_USE, sequence),
        (DELETE, sequence),
        (DELETE_ACCOUNT, account),
    ] {
        transaction.prepare_cached(statement)?.execute([number])?;
    }
    Ok(true)
}

/// An end as the columns say it: when, when it left the list, why, by which session.
fn columns_of(ending: &Ending) -> (i64, i64, &'static str, Option<SessionId>) {
    let (cause, by) = ending.by.to_parts();
    (
        ending.at.as_millisecond(),
        ending.left_list_at.as_millisecond(),
        cause,
        by,
    )
}

/// An address as 4 or 16 bytes.
pub(super) fn bytes_of(address: Option<IpAddr>) -> Option<Vec<u8>> {
    address.map(|address| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    })
}

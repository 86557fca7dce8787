//! How a session becomes a row, and a row a record.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use lastseen::policy::PolicyNumber;
use lastseen::store::devices::Devices;
use lastseen::store::{Origin, Record};
use lastseen::token::SecretHash;
use lastseen::{
    Account, AccountId, AccountKey, AccountSource, EndedBy, Ending, Policy, SessionId, Timestamp,
};
use sha2::{Digest, Sha256};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use super::statements::ACCOUNT;
use crate::error::Error;

/// 16 bytes, in the type that PostgreSQL has for that many.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Bytes16(pub(crate) [u8; 16]);

impl From<SessionId> for Bytes16 {
    fn from(id: SessionId) -> Self {
        Self(*id.as_bytes())
    }
}

impl From<Bytes16> for SessionId {
    fn from(bytes: Bytes16) -> Self {
        Self::from_bytes(bytes.0)
    }
}

type BoxedError = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Bytes16 {
    fn to_sql(&self, _type: &Type, out: &mut BytesMut) -> Result<IsNull, BoxedError> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}

impl<'row> FromSql<'row> for Bytes16 {
    fn from_sql(_type: &Type, raw: &'row [u8]) -> Result<Self, BoxedError> {
        Ok(Self(raw.try_into()?))
    }

    accepts!(UUID);
}

/// Where a session is: the partition's bits and the place in it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Place {
    pub(super) bits: i32,
    pub(super) sequence: i64,
}

impl Place {
    pub(super) fn of(id: SessionId) -> Self {
        Self {
            bits: i32::from(id.partition()),
            sequence: id.sequence(),
        }
    }
}

/// What an account is called in the tables: the first 16 bytes of a hash, of which the first two are the bits
/// that its sessions' ids begin with. Two accounts of one key would take 2^64 tries, and be of one application.
pub(super) fn key_of(account: &AccountKey) -> Bytes16 {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(account.source.number().to_be_bytes())
        .chain_update(account.id.as_str())
        .finalize()
        .into();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    Bytes16(key)
}

/// The record in the columns that a statement on sessions answers, and whether every node knows it as expired.
pub(super) fn record(row: &Row, devices: &Devices) -> Result<(Record, bool), Error> {
    let account = Arc::new(Account::new(
        AccountSource::from_number(number(row, ACCOUNT)?),
        AccountId::new(text(get(row, ACCOUNT + 1)?)?).map_err(damage)?,
        text(get(row, ACCOUNT + 2)?)?,
    ));
    let created_at = Timestamp::from_millisecond(get(row, 5)?);
    let first = Origin {
        ip_address: get(row, 6)?,
        device: devices.device_of(get(row, 7)?)?,
    };
    let (last_used_at, last) = match get::<Option<i64>>(row, 12)? {
        None => (created_at, first.clone()),
        Some(used_at) => {
            let device = match get::<Option<&str>>(row, 14)? {
                Some(text) => devices.device_of(text)?,
                None => Arc::clone(&first.device),
            };
            let origin = Origin {
                ip_address: get::<Option<IpAddr>>(row, 13)?,
                device,
            };
            (Timestamp::from_millisecond(used_at), origin)
        }
    };
    let record = Record {
        id: get::<Bytes16>(row, 0)?.into(),
        account,
        token_hash: hash(get(row, 1)?)?,
        token_generation: number(row, 2)?,
        page_token_hash: get::<Option<&[u8]>>(row, 15)?.map(hash).transpose()?,
        policy: PolicyNumber(number(row, 3)?),
        remembered: get(row, 4)?,
        created_at,
        first,
        last_used_at,
        last,
        expired: get(row, 16)?,
        ended: ending(row)?,
    };
    Ok((record, get(row, 17)?))
}

fn ending(row: &Row) -> Result<Option<Ending>, Error> {
    let Some(left_list_at) = get::<Option<i64>>(row, 9)? else {
        return Ok(None);
    };
    let by = get::<Option<Bytes16>>(row, 11)?.map(SessionId::from);
    let by =
        EndedBy::from_parts(get(row, 10)?, by).ok_or_else(|| damage("a cause that is none"))?;
    Ok(Some(Ending {
        at: Timestamp::from_millisecond(get(row, 8)?),
        by,
        left_list_at: Timestamp::from_millisecond(left_list_at),
    }))
}

/// The limits in the three columns of a row.
pub(super) fn policy(row: &Row) -> Result<Policy, Error> {
    // Less than nothing was never written; as nothing it is the tightest there is.
    let duration = |column| -> Result<Duration, Error> {
        Ok(Duration::from_millis(
            u64::try_from(get::<i64>(row, column)?).unwrap_or(0),
        ))
    };
    Ok(Policy {
        idle_timeout: duration(0)?,
        remembered_idle_timeout: duration(1)?,
        absolute_lifetime: duration(2)?,
    })
}

/// A column.
pub(super) fn get<'row, Value: FromSql<'row>>(
    row: &'row Row,
    column: usize,
) -> Result<Value, Error> {
    row.try_get(column).map_err(damage)
}

fn number(row: &Row, column: usize) -> Result<u32, Error> {
    u32::try_from(get::<i64>(row, column)?).map_err(damage)
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(damage)
}

fn hash(bytes: &[u8]) -> Result<SecretHash, Error> {
    Ok(SecretHash::from_bytes(bytes.try_into().map_err(damage)?))
}

/// A row that this crate cannot have written.
pub(super) fn damage(what: impl std::fmt::Display) -> Error {
    Error::Corrupt(format!("a session cannot be read: {what}").into())
}

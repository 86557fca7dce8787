//! What is done to the tables within a transaction.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::{join, try_join_all};
use lastseen::store::devices::text_of;
use lastseen::store::{End, Use};
use lastseen::{AccountKey, Ending, Policy, SessionId, Timestamp};
use tokio_postgres::types::Type;

use super::group::Group;
use super::rows::{self, Bytes16, Place, get, key_of};
use super::statements;
use crate::database::{Parameter, Transaction};
use crate::error::Error;

/// Records `policy`, unless it is the newest.
pub(super) async fn add_policy(transaction: &Transaction, policy: &Policy) -> Result<(), Error> {
    let (locked, rows) = join(
        transaction.execute(statements::LOCK_POLICIES, &[]),
        transaction.query(statements::POLICIES, &[]),
    )
    .await;
    locked?;
    let rows = rows?;
    if let Some(newest) = rows.last()
        && rows::policy(newest)? == *policy
    {
        return Ok(());
    }
    let milliseconds = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    // A history of more policies than that does not fit in memory.
    let number = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    transaction
        .execute(
            statements::INSERT_POLICY,
            &[
                (&number, Type::INT8),
                (&milliseconds(policy.idle_timeout), Type::INT8),
                (&milliseconds(policy.remembered_idle_timeout), Type::INT8),
                (&milliseconds(policy.absolute_lifetime), Type::INT8),
            ],
        )
        .await?;
    Ok(())
}

pub(super) async fn record_time(transaction: &Transaction, now: Timestamp) -> Result<(), Error> {
    transaction
        .execute(
            statements::RECORD_TIME,
            &[(&now.as_millisecond(), Type::INT8)],
        )
        .await?;
    Ok(())
}

/// The use of each session that counts, in the order of the rows: that of nodes that record at once.
pub(super) fn latest_of_each(mut uses: Vec<Use>) -> Vec<Use> {
    // The sort is stable: of two uses in one millisecond the later in the list stays later.
    uses.sort_by_key(|used| (Place::of(used.id), used.id, used.at));
    uses.reverse();
    uses.dedup_by_key(|used| used.id);
    uses.reverse();
    uses
}

/// Records uses, each of another session.
pub(super) async fn record_uses(transaction: &Transaction, uses: &[Use]) -> Result<(), Error> {
    let (mut bits, mut sequences) = (Vec::new(), Vec::new());
    for used in uses {
        let place = Place::of(used.id);
        bits.push(place.bits);
        sequences.push(place.sequence);
    }
    let in_one = bits
        .first()
        .filter(|first| bits.iter().all(|bits| bits == *first));
    let (statement, place): (_, Parameter<'_>) = match in_one {
        Some(bits) => (statements::TOUCH_IN_ONE, (bits, Type::INT4)),
        None => (statements::TOUCH, (&bits, Type::INT4_ARRAY)),
    };
    let ids: Vec<Bytes16> = uses.iter().map(|used| used.id.into()).collect();
    let used_at: Vec<i64> = uses.iter().map(|used| used.at.as_millisecond()).collect();
    let addresses: Vec<_> = uses.iter().map(|used| used.origin.ip_address).collect();
    let devices: Vec<String> = uses
        .iter()
        .map(|used| text_of(&used.origin.device))
        .collect();
    transaction
        .execute(
            statement,
            &[
                place,
                (&sequences, Type::INT8_ARRAY),
                (&ids, Type::UUID_ARRAY),
                (&used_at, Type::INT8_ARRAY),
                (&addresses, Type::INET_ARRAY),
                (&devices, Type::TEXT_ARRAY),
            ],
        )
        .await?;
    Ok(())
}

/// Of each request whether every one of its ids belongs to its account, ended or not, where it names one.
pub(super) async fn are_own(
    transaction: &Transaction,
    requests: &[(Option<&AccountKey>, &[End])],
) -> Result<Vec<bool>, Error> {
    let mut own = vec![true; requests.len()];
    let mut missing = vec![0_i64; requests.len()];
    let (mut numbers, mut bits, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    let (mut sequences, mut wanted) = (Vec::new(), Vec::new());
    for (request, (account, ends)) in requests.iter().enumerate() {
        let Some(account) = account else { continue };
        let ids: HashSet<SessionId> = ends.iter().map(|end| end.id).collect();
        // An id that nobody has and one of another account look the same.
        if ids.iter().any(|id| id.partition() != account.partition()) {
            own[request] = false;
            continue;
        }
        let key = key_of(account);
        for id in ids {
            let place = Place::of(id);
            missing[request] += 1;
            // So many do not fit in one batch.
            numbers.push(i32::try_from(request).unwrap_or(i32::MAX));
            bits.push(place.bits);
            keys.push(key);
            sequences.push(place.sequence);
            wanted.push(Bytes16::from(id));
        }
    }
    if !wanted.is_empty() {
        let rows = transaction
            .query(
                statements::OWN,
                &[
                    (&numbers, Type::INT4_ARRAY),
                    (&bits, Type::INT4_ARRAY),
                    (&keys, Type::UUID_ARRAY),
                    (&sequences, Type::INT8_ARRAY),
                    (&wanted, Type::UUID_ARRAY),
                ],
            )
            .await?;
        for row in &rows {
            let request: i32 = get(row, 0)?;
            let found: i64 = get(row, 1)?;
            let request = usize::try_from(request).map_err(rows::damage)?;
            if let Some(missing) = missing.get_mut(request) {
                *missing -= found;
            }
        }
    }
    for (own, missing) in own.iter_mut().zip(missing) {
        *own &= missing == 0;
    }
    Ok(own)
}

/// A session to end, if it is this account's, where one is named.
pub(super) type EndOf<'end> = (Option<&'end AccountKey>, &'end End);

/// Ends sessions, each named once, with the uses that come along; the ids of those that this ended. What else is sent
/// while this is awaited goes the same way there and back.
pub(super) async fn end_sessions(
    transaction: &Transaction,
    ends: &[EndOf<'_>],
) -> Result<HashSet<SessionId>, Error> {
    let uses = ends.iter().filter_map(|(_, end)| end.last_use.clone());
    let uses = latest_of_each(uses.collect());
    if uses.is_empty() {
        return mark_ended(transaction, ends).await;
    }
    let (recorded, ended) = join(
        record_uses(transaction, &uses),
        mark_ended(transaction, ends),
    )
    .await;
    recorded?;
    ended
}

/// Tells the nodes once more of those of these sessions that have ended: whoever ended them may still be waiting for
/// a node that accepts them, and what is answered here has to be as true as what is answered there. Answers which.
pub(super) async fn tell_again(
    transaction: &Transaction,
    ids: impl Iterator<Item = SessionId>,
) -> Result<Vec<SessionId>, Error> {
    let groups = Group::of(ids);
    let before = try_join_all(groups.iter().map(|group| async move {
        let places = group.parameters();
        let rows = transaction.query(statements::ENDED, &places).await?;
        rows.iter()
            .map(|row| get(row, 0))
            .collect::<Result<Vec<Bytes16>, Error>>()
    }));
    let before = before.await?.concat();
    if !before.is_empty() {
        note_again(transaction, &before).await?;
    }
    Ok(before.into_iter().map(SessionId::from).collect())
}

/// Marks sessions as ended, unless they have; the ids of those that this marked.
async fn mark_ended(
    transaction: &Transaction,
    ends: &[EndOf<'_>],
) -> Result<HashSet<SessionId>, Error> {
    // In the order of the rows, as all who lock several.
    let mut ends: Vec<(Place, Option<&AccountKey>, &End)> = ends
        .iter()
        .map(|(account, end)| (Place::of(end.id), *account, *end))
        .collect();
    ends.sort_by_key(|(place, ..)| *place);
    let bits: Vec<i32> = ends.iter().map(|(place, ..)| place.bits).collect();
    let sequences: Vec<i64> = ends.iter().map(|(place, ..)| place.sequence).collect();
    let ids: Vec<Bytes16> = ends.iter().map(|(.., end)| end.id.into()).collect();
    let accounts: Vec<Option<Bytes16>> = ends
        .iter()
        .map(|(_, account, _)| account.map(key_of))
        .collect();
    let column = |of: fn(&Ending) -> i64| -> Vec<i64> {
        ends.iter().map(|(.., end)| of(&end.ending)).collect()
    };
    let ended_at = column(|ending| ending.at.as_millisecond());
    let left_list_at = column(|ending| ending.left_list_at.as_millisecond());
    let parts = ends.iter().map(|(.., end)| end.ending.by.to_parts());
    let (causes, by): (Vec<_>, Vec<_>) = parts
        .map(|(cause, by)| (cause, by.map(Bytes16::from)))
        .unzip();
    let rest: [Parameter<'_>; 7] = [
        (&sequences, Type::INT8_ARRAY),
        (&ids, Type::UUID_ARRAY),
        (&ended_at, Type::INT8_ARRAY),
        (&left_list_at, Type::INT8_ARRAY),
        (&causes, Type::TEXT_ARRAY),
        (&by, Type::UUID_ARRAY),
        (&accounts, Type::UUID_ARRAY),
    ];
    let rows = match bits.first() {
        None => return Ok(HashSet::new()),
        Some(first) if bits.iter().all(|bits| bits == first) => {
            let parameters = [&[(first as _, Type::INT4)], &rest[..]].concat();
            transaction.query(statements::END, &parameters).await?
        }
        Some(_) => {
            let parameters = [&[(&bits as _, Type::INT4_ARRAY)], &rest[..]].concat();
            let (set, rows) = join(
                transaction.query(statements::BY_KEY, &[]),
                transaction.query(statements::END_SEVERAL, &parameters),
            )
            .await;
            set?;
            rows?
        }
    };
    rows.iter()
        .map(|row| Ok(get::<Bytes16>(row, 0)?.into()))
        .collect()
}

/// Marks those that nobody has used since; all that are marked then, and whether every node is known to know.
pub(super) async fn expire(
    transaction: &Transaction,
    groups: &[Group],
    passed: &[(SessionId, Timestamp)],
) -> Result<Vec<(SessionId, bool)>, Error> {
    let expired = groups.iter().map(|group| async move {
        let used_at = group.pick(|origin| passed[origin].1.as_millisecond());
        let [bits, sequences, ids] = group.parameters();
        let marks = [bits, sequences, ids, (&used_at, Type::INT8_ARRAY)];
        let places = group.parameters();
        // A statement each: the second sees the uses for which the first had to wait.
        let (held, (marked, expired)) = join(
            transaction.execute(statements::HOLD_USES, &places),
            join(
                transaction.query(statements::EXPIRE, &marks),
                transaction.query(statements::EXPIRED, &places),
            ),
        )
        .await;
        held?;
        let marked = marked?
            .iter()
            .map(|row| get(row, 0))
            .collect::<Result<Vec<Bytes16>, _>>()?;
        let expired = expired?
            .iter()
            .map(|row| Ok((get(row, 0)?, get(row, 1)?)))
            .collect::<Result<Vec<(Bytes16, bool)>, Error>>()?;
        Ok::<_, Error>((marked, expired))
    });
    let mut all = Vec::new();
    let mut untold = Vec::new();
    for (marked, expired) in try_join_all(expired).await? {
        for (id, settled) in expired {
            // Somebody else has marked it, and may still be waiting for the nodes.
            if !settled && !marked.contains(&id) {
                untold.push(id);
            }
            all.push((id.into(), settled));
        }
    }
    if !untold.is_empty() {
        note_again(transaction, &untold).await?;
    }
    Ok(all)
}

/// Tells the nodes of sessions once more.
pub(super) async fn note_again(transaction: &Transaction, ids: &[Bytes16]) -> Result<(), Error> {
    transaction
        .query(statements::NOTE_AGAIN, &[(&ids, Type::UUID_ARRAY)])
        .await?;
    Ok(())
}

/// Deletes the records of those that have ended; how many that were.
pub(super) async fn purge(transaction: &Transaction, groups: &[Group]) -> Result<u64, Error> {
    let purged = groups.iter().map(|group| async move {
        let places = group.parameters();
        let (held, purged) = join(
            transaction.query(statements::HOLD_ACCOUNTS, &places),
            transaction.query(statements::PURGE, &places),
        )
        .await;
        held?;
        let count: i64 = purged?.first().map_or(Ok(0), |row| get(row, 0))?;
        Ok::<_, Error>(count.unsigned_abs())
    });
    Ok(try_join_all(purged).await?.into_iter().sum())
}

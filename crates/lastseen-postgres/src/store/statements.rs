//! Every statement on sessions, accounts, policies and the latest time.
//!
//! Those on sessions say `bits`, so that each meets one partition; a row that comes out of `unnest` is looked
//! up by itself, in its own partition. The walk alone goes through all of them.

/// The columns of a session and its last use, in the order in which a record is read.
macro_rules! columns {
    () => {
        "session.id, session.token_hash, session.token_generation, session.policy, session.remembered, \
         session.created_at, session.first_ip_address, session.first_device, \
         session.ended_at, session.left_list_at, session.ended_cause, session.ended_by, \
         last_use.used_at, last_use.ip_address, last_use.device, \
         session.page_token_hash, session.expired, coalesce(last_use.settled, false)"
    };
}

/// Where the account's columns begin, in statements that join it.
pub(super) const ACCOUNT: usize = 18;

/// `$1` bits, `$2` sequence, `$3` id.
pub(super) const FIND: &str = concat!(
    "SELECT ",
    columns!(),
    ", account.source, account.id, account.name
     FROM session
     JOIN account ON account.bits = $1 AND account.key = session.account
     LEFT JOIN last_use ON last_use.bits = $1 AND last_use.sequence = session.sequence
     WHERE session.bits = $1 AND session.sequence = $2 AND session.id = $3"
);

/// `$1` bits, `$2` account's key.
pub(super) const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    ", account.source, account.id, account.name
     FROM session
     JOIN account ON account.bits = $1 AND account.key = $2
     LEFT JOIN last_use ON last_use.bits = $1 AND last_use.sequence = session.sequence
     WHERE session.bits = $1 AND session.account = $2 AND session.left_list_at IS NULL"
);

/// `$1` bits, `$2` account's key.
pub(super) const COUNT: &str = "SELECT count(*) FROM session
     WHERE session.bits = $1 AND session.account = $2 AND session.left_list_at IS NULL";

/// `$1` bits, `$2` account's key.
pub(super) const NAME_OF: &str = "SELECT name FROM account WHERE bits = $1 AND key = $2";

/// `$1` bits and `$2` sequence to go on after, `$3` how many.
pub(super) const WALK: &str = concat!(
    "SELECT ",
    columns!(),
    ", account.source, account.id, account.name
     FROM (
         SELECT * FROM session WHERE (session.bits, session.sequence) > ($1, $2)
         ORDER BY session.bits, session.sequence LIMIT $3
     ) AS session
     JOIN account ON account.bits = session.bits AND account.key = session.account
     LEFT JOIN last_use ON last_use.bits = session.bits AND last_use.sequence = session.sequence
     ORDER BY session.bits, session.sequence"
);

/// Sessions, their accounts and the last uses that they come with, all or those whose place was free: `bits`
/// and `sequence` of each that was inserted. The names lock their accounts, so that a purge cannot take one
/// away under a new session.
pub(super) const INSERT: &str = "WITH inserted AS (
         INSERT INTO session (bits, sequence, id, account, token_hash, token_generation, policy, remembered,
             created_at, first_ip_address, first_device, page_token_hash, expired,
             ended_at, left_list_at, ended_cause, ended_by)
         SELECT * FROM unnest($1::integer[], $2::bigint[], $3::uuid[], $4::uuid[], $5::bytea[], $6::bigint[],
             $7::bigint[], $8::boolean[], $9::bigint[], $10::inet[], $11::text[], $12::bytea[], $13::boolean[],
             $14::bigint[], $15::bigint[], $16::text[], $17::uuid[])
         ON CONFLICT (bits, sequence) DO NOTHING
         RETURNING bits, sequence, account
     ), named AS (
         INSERT INTO account (bits, key, source, id, name)
         SELECT given.* FROM unnest($18::integer[], $19::uuid[], $20::bigint[], $21::bytea[], $22::bytea[])
             AS given (bits, key, source, id, name)
         WHERE EXISTS (
             SELECT FROM inserted WHERE inserted.bits = given.bits AND inserted.account = given.key
         )
         ON CONFLICT (bits, key) DO UPDATE SET name = excluded.name WHERE account.name <> excluded.name
     ), used AS (
         INSERT INTO last_use (bits, sequence, used_at, ip_address, device)
         SELECT given.* FROM unnest($23::integer[], $24::bigint[], $25::bigint[], $26::inet[], $27::text[])
             AS given (bits, sequence, used_at, ip_address, device)
         WHERE EXISTS (
             SELECT FROM inserted WHERE inserted.bits = given.bits AND inserted.sequence = given.sequence
         )
     )
     SELECT bits, sequence FROM inserted";

/// Recording uses: `$used` is the list of their columns, `$bits` those of one.
macro_rules! touch {
    ($used:literal, $bits:literal) => {
        concat!(
            "INSERT INTO last_use (bits, sequence, used_at, ip_address, device)
     SELECT session.bits, session.sequence, used.used_at, used.ip_address, nullif(used.device, session.first_device)
     FROM ",
            $used,
            "
     CROSS JOIN LATERAL (
         SELECT session.bits, session.sequence, session.first_device FROM session
         WHERE session.bits = ",
            $bits,
            " AND session.sequence = used.sequence AND session.id = used.id
             AND session.left_list_at IS NULL AND NOT session.expired AND session.created_at <= used.used_at
         OFFSET 0
     ) AS session
     ON CONFLICT (bits, sequence) DO UPDATE
     SET used_at = excluded.used_at, ip_address = excluded.ip_address, device = excluded.device
     WHERE last_use.used_at <= excluded.used_at"
        )
    };
}

/// Uses, each of another session, as far as they are news. A session without a row in `last_use` was last used
/// when it was created. `OFFSET 0` keeps the look-up of one row the look-up of one row.
pub(super) const TOUCH: &str = touch!(
    "unnest($1::integer[], $2::bigint[], $3::uuid[], $4::bigint[], $5::inet[], $6::text[])
         AS used (bits, sequence, id, used_at, ip_address, device)",
    "used.bits"
);

/// The same for sessions that share their bits, `$1`: a plan for one partition is found four times as fast as one
/// for sixteen.
pub(super) const TOUCH_IN_ONE: &str = touch!(
    "unnest($2::bigint[], $3::uuid[], $4::bigint[], $5::inet[], $6::text[])
         AS used (sequence, id, used_at, ip_address, device)",
    "$1"
);

/// `$1` milliseconds. The latest time only ever grows.
pub(super) const RECORD_TIME: &str = "UPDATE latest_time SET at = $1 WHERE at < $1";

pub(super) const LATEST_TIME: &str = "SELECT at FROM latest_time";

/// One node at a time looks which policy is the newest and adds its own; others may look on.
pub(super) const LOCK_POLICIES: &str = "LOCK TABLE policy IN SHARE ROW EXCLUSIVE MODE";

pub(super) const POLICIES: &str =
    "SELECT idle_timeout, remembered_idle_timeout, absolute_lifetime FROM policy ORDER BY number";

/// `$1` number, `$2` to `$4` the three limits in milliseconds.
pub(super) const INSERT_POLICY: &str =
    "INSERT INTO policy (number, idle_timeout, remembered_idle_timeout, absolute_lifetime)
     VALUES ($1, $2, $3, $4)";

/// Sessions that are said to be an account's, of several requests: of each how many are. `OFFSET 0` keeps the
/// look-up of one row the look-up of one row.
pub(super) const OWN: &str = "SELECT given.request, count(*)
     FROM unnest($1::integer[], $2::integer[], $3::uuid[], $4::bigint[], $5::uuid[])
         AS given (request, bits, account, sequence, id)
     CROSS JOIN LATERAL (
         SELECT FROM session WHERE session.bits = given.bits AND session.sequence = given.sequence
             AND session.id = given.id AND session.account = given.account
         OFFSET 0
     ) AS own
     GROUP BY given.request";

/// `$1` bits, then a row each of the sessions to end, with the account whose it has to be, or none; the ids of those
/// that this ended.
pub(super) const END: &str =
    "UPDATE session SET ended_at = given.ended_at, left_list_at = given.left_list_at,
         ended_cause = given.ended_cause, ended_by = given.ended_by
     FROM unnest($2::bigint[], $3::uuid[], $4::bigint[], $5::bigint[], $6::text[], $7::uuid[], $8::uuid[])
         AS given (sequence, id, ended_at, left_list_at, ended_cause, ended_by, account)
     WHERE session.bits = $1 AND session.sequence = given.sequence AND session.id = given.id
         AND session.left_list_at IS NULL AND (given.account IS NULL OR session.account = given.account)
     RETURNING session.id";

/// The same for sessions of several bits: `$1` theirs, one each. After [`BY_KEY`].
pub(super) const END_SEVERAL: &str = "UPDATE session SET ended_at = given.ended_at, left_list_at = given.left_list_at,
         ended_cause = given.ended_cause, ended_by = given.ended_by
     FROM unnest($1::integer[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bigint[], $6::text[], $7::uuid[], $8::uuid[])
         AS given (bits, sequence, id, ended_at, left_list_at, ended_cause, ended_by, account)
     WHERE session.bits = given.bits AND session.sequence = given.sequence AND session.id = given.id
         AND session.left_list_at IS NULL AND (given.account IS NULL OR session.account = given.account)
     RETURNING session.id";

/// For the rest of the transaction rows are looked up one by one, whatever the server makes of its statistics:
/// that goes to the partitions that are named and to no other.
pub(super) const BY_KEY: &str = "SELECT set_config('enable_hashjoin', 'off', true),
     set_config('enable_mergejoin', 'off', true), set_config('enable_seqscan', 'off', true)";

/// `$1` bits, `$2` sequences and `$3` ids: those that have ended.
pub(super) const ENDED: &str = "SELECT session.id
     FROM session JOIN unnest($2::bigint[], $3::uuid[]) AS given (sequence, id)
         ON session.sequence = given.sequence AND session.id = given.id
     WHERE session.bits = $1 AND session.left_list_at IS NOT NULL";

/// `$1` bits, `$2` sequence, `$3` id, `$4` hash, `$5` generation.
pub(super) const RENEW: &str = "UPDATE session SET token_hash = $4, token_generation = $5
     WHERE bits = $1 AND sequence = $2 AND id = $3 AND left_list_at IS NULL AND token_generation < $5";

/// `$1` bits, `$2` sequence, `$3` id, `$4` hash.
pub(super) const SET_PAGE_TOKEN: &str = "UPDATE session SET page_token_hash = $4
     WHERE bits = $1 AND sequence = $2 AND id = $3 AND left_list_at IS NULL";

/// `$1` bits, `$2` sequences and `$3` ids: holds on to their last uses, so that what is concluded from them is
/// concluded before or after any other use, never beside it.
pub(super) const HOLD_USES: &str = "INSERT INTO last_use (bits, sequence, used_at, ip_address)
     SELECT session.bits, session.sequence, session.created_at, session.first_ip_address
     FROM session JOIN unnest($2::bigint[], $3::uuid[]) AS given (sequence, id)
         ON session.sequence = given.sequence AND session.id = given.id
     WHERE session.bits = $1 AND session.left_list_at IS NULL AND NOT session.expired
     ORDER BY session.sequence
     ON CONFLICT (bits, sequence) DO UPDATE SET settled = false WHERE last_use.settled";

/// `$1` bits, `$2` sequences, `$3` ids, `$4` the last uses that a verdict went by.
pub(super) const EXPIRE: &str = "UPDATE session SET expired = true
     FROM unnest($2::bigint[], $3::uuid[], $4::bigint[]) AS given (sequence, id, used_at)
     WHERE session.bits = $1 AND session.sequence = given.sequence AND session.id = given.id
         AND session.left_list_at IS NULL AND NOT session.expired
         AND NOT EXISTS (
             SELECT FROM last_use WHERE last_use.bits = $1 AND last_use.sequence = given.sequence
                 AND last_use.used_at > given.used_at
         )
     RETURNING session.id";

/// `$1` bits, `$2` sequences and `$3` ids: those that are expired on every node, and whether every node knows.
pub(super) const EXPIRED: &str = "SELECT session.id, coalesce(last_use.settled, false)
     FROM session JOIN unnest($2::bigint[], $3::uuid[]) AS given (sequence, id)
         ON session.sequence = given.sequence AND session.id = given.id
     LEFT JOIN last_use ON last_use.bits = $1 AND last_use.sequence = session.sequence
     WHERE session.bits = $1 AND session.expired AND session.left_list_at IS NULL";

/// `$1` ids: says to every node what some of them were told already.
pub(super) const NOTE_AGAIN: &str = "SELECT note_change('sessions', $1)";

/// `$1` bits: has every node forget what it knows of these accounts' sessions.
pub(super) const NOTE_PARTITIONS: &str =
    "INSERT INTO change_log (kind, bits) VALUES ('partitions', $1)";

/// `$1` bits and `$2` sequences, a pair each: every node knows that they have expired.
pub(super) const SETTLE: &str = "UPDATE last_use SET settled = true
     WHERE bits = $1 AND sequence = ANY ($2::bigint[]) AND NOT settled";

/// `$1` bits, `$2` sequences and `$3` ids: holds the accounts of those that have ended. A statement of its own,
/// so that the next one sees the sessions that were inserted while this one waited.
pub(super) const HOLD_ACCOUNTS: &str = "SELECT FROM account
     WHERE account.bits = $1 AND account.key IN (
         SELECT session.account FROM session JOIN unnest($2::bigint[], $3::uuid[]) AS given (sequence, id)
             ON session.sequence = given.sequence AND session.id = given.id
         WHERE session.bits = $1 AND session.left_list_at IS NOT NULL
     )
     ORDER BY account.key FOR UPDATE";

/// The same sessions, as far as they have ended, their last uses, and their accounts where that was their last
/// session: how many sessions that were.
pub(super) const PURGE: &str = "WITH purged AS (
         DELETE FROM session USING unnest($2::bigint[], $3::uuid[]) AS given (sequence, id)
         WHERE session.bits = $1 AND session.sequence = given.sequence AND session.id = given.id
             AND session.left_list_at IS NOT NULL
         RETURNING session.sequence, session.account
     ), unused AS (
         DELETE FROM last_use WHERE last_use.bits = $1 AND last_use.sequence IN (SELECT sequence FROM purged)
     ), unknown AS (
         DELETE FROM account WHERE account.bits = $1 AND account.key IN (SELECT account FROM purged)
             AND NOT EXISTS (
                 SELECT FROM session WHERE session.bits = $1 AND session.account = account.key
                     AND session.sequence NOT IN (SELECT sequence FROM purged)
             )
     )
     SELECT count(*) FROM purged";

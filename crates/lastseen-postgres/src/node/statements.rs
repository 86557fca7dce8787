//! Every statement on nodes and on the log.

/// Registers a node, or registers it anew. In the same step it goes on record how long a lease can be.
pub(super) const REGISTER: &str = "WITH longest AS (
        UPDATE settled_timeline SET longest_lease_milliseconds = $3 WHERE longest_lease_milliseconds < $3
     )
     INSERT INTO node (id, epoch, timeline, lease_milliseconds, name, version, applied)
     VALUES ($1, $2, primary_timeline(), $3, $4, $5, pg_current_snapshot())
     ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, timeline = excluded.timeline,
        renewals = node.renewals + 1, lease_milliseconds = excluded.lease_milliseconds,
        applied = excluded.applied, renewed_at = clock_timestamp()
     RETURNING applied::text";

/// Renews a registration, and reads every change that is visible now and was not in `$3`. All of it goes by one
/// snapshot, that of the statement. `registered` is false where the row is gone, or of another primary.
///
/// What was in progress in `$3`, or began later, is all that can be new: so a transaction that goes on for hours
/// makes nobody read the log again and again.
pub(super) const RENEW: &str = "WITH renewed AS (
        UPDATE node SET renewals = renewals + 1, applied = $3::text::pg_snapshot,
            renewed_at = clock_timestamp(),
            acknowledged_at = CASE WHEN $4 THEN clock_timestamp() ELSE acknowledged_at END
        WHERE id = $1 AND epoch = $2 AND timeline = primary_timeline()
        RETURNING true
     ), new AS (
        SELECT xid, number, kind, sessions, bits, origin FROM change_log
        WHERE xid >= pg_snapshot_xmax($3::text::pg_snapshot)
        UNION ALL
        SELECT xid, number, kind, sessions, bits, origin FROM change_log
        WHERE xid IN (SELECT pg_snapshot_xip($3::text::pg_snapshot))
     )
     SELECT here.seen, here.registered, xid::text, kind, sessions, bits, origin
     FROM (SELECT pg_current_snapshot()::text AS seen, EXISTS (SELECT FROM renewed) AS registered) AS here
     LEFT JOIN new ON true
     ORDER BY xid, number";

/// All nodes, by the snapshot that comes with each row; a row without a node where there is none.
pub(super) const NODES: &str = "SELECT here.seen, here.settled, node.id, node.epoch, node.renewals,
        node.lease_milliseconds, node.applied::text, node.timeline = here.timeline, here.primary,
        here.timeline, here.longest
     FROM (SELECT pg_current_snapshot()::text AS seen, primary_timeline() AS timeline,
            (SELECT timeline = primary_timeline() FROM settled_timeline) AS settled,
            (SELECT longest_lease_milliseconds FROM settled_timeline) AS longest,
            NOT pg_is_in_recovery() AS primary) AS here
     LEFT JOIN node ON true";

/// Deletes a registration that was not renewed since it was read.
pub(super) const EVICT: &str = "DELETE FROM node WHERE id = $1 AND epoch = $2 AND renewals = $3";

/// Notes that somebody waited for a node until its lease had run out.
pub(super) const WAITED_OUT: &str =
    "UPDATE node SET waited_out = waited_out + 1 WHERE id = $1 AND epoch = $2";

/// Deletes the registration of a node that leaves.
pub(super) const LEAVE: &str = "DELETE FROM node WHERE id = $1";

/// Notes that every lease runs on this primary's word.
pub(super) const SETTLE: &str =
    "UPDATE settled_timeline SET timeline = $1 WHERE primary_timeline() = $1";

/// Notifies; the first of each pair is the channel.
pub(super) const NOTIFY: &str = "SELECT count(pg_notify(channel, message)) FROM unnest($1::text[], $2::text[]) AS said (channel, message)";

/// Deletes changes that every node has applied, so many at a time; one at a time does so.
///
/// Each node's word is its row, which shows what it had applied when it asked for its present lease. A row of another
/// primary has no say: its node has to forget everything before it goes on.
pub(super) const PRUNE: &str = "DELETE FROM change_log WHERE ctid = ANY (ARRAY(
        SELECT change_log.ctid FROM change_log
        WHERE (SELECT pg_try_advisory_xact_lock(hashtext('lastseen change_log')))
          AND NOT EXISTS (SELECT FROM node WHERE node.timeline = primary_timeline()
                AND NOT pg_visible_in_snapshot(change_log.xid, node.applied))
        LIMIT 10000))";

/// The nodes, for people.
pub(super) const FACTS: &str = "SELECT id::text, name, version, lease_milliseconds, epoch,
        extract(epoch FROM clock_timestamp() - started_at)::float8,
        extract(epoch FROM clock_timestamp() - renewed_at)::float8,
        extract(epoch FROM clock_timestamp() - acknowledged_at)::float8,
        waited_out, timeline = primary_timeline(),
        (SELECT count(*) FROM change_log WHERE NOT pg_visible_in_snapshot(change_log.xid, node.applied))
     FROM node ORDER BY started_at, id";

/// Follows changes, on a connection of its own: both channels.
pub(super) fn listen(changes: Option<&str>, acknowledgements: &str) -> String {
    // Channels are names, not values: letters, digits and `_` only.
    let changes = changes.map_or(String::new(), |channel| format!("LISTEN {channel}; "));
    format!("{changes}LISTEN {acknowledgements}")
}

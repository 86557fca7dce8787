-- The processes that answer from memory, and which server is the primary. Why these tables are enough:
-- docs/decisions/leases.md.

-- The number of the primary's timeline: another one after every failover. Fails on a standby.
CREATE FUNCTION primary_timeline() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint
$$;

-- Nodes. A row is there from before its node answers from memory until after it has stopped to.
CREATE TABLE node (
    -- Drawn at the start of the process.
    id                 uuid        PRIMARY KEY,
    -- How often the process has registered.
    epoch              bigint      NOT NULL,
    -- The primary that it registered with.
    timeline           bigint      NOT NULL,
    renewals           bigint      NOT NULL DEFAULT 0,
    lease_milliseconds bigint      NOT NULL,
    -- Every change that is visible in this snapshot was applied in the node's memory.
    applied            pg_snapshot NOT NULL,
    -- For people; nothing is decided by these.
    name               text        NOT NULL,
    version            text        NOT NULL,
    started_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    renewed_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    acknowledged_at    timestamptz,
    waited_out         bigint      NOT NULL DEFAULT 0
-- Room for the new versions of the few rows, so that a renewal moves no index.
) WITH (fillfactor = 20);

-- The timeline of which it is known that no lease runs that was given on another one.
CREATE TABLE settled_timeline (
    row      integer PRIMARY KEY CHECK (row = 1),
    timeline bigint  NOT NULL,
    -- The longest lease that any node ever had.
    longest_lease_milliseconds bigint NOT NULL DEFAULT 0
);
-- Nobody holds a lease over a database that is only being made.
INSERT INTO settled_timeline (row, timeline) VALUES (1, primary_timeline());

-- Times are milliseconds since the Unix epoch. Why the tables are cut as they are:
-- docs/decisions/sessions-tables.md.

-- The policies that were ever in force, oldest first; the number is the place in that history, from 0.
CREATE TABLE policy (
    number                  INTEGER PRIMARY KEY,
    idle_timeout            INTEGER NOT NULL,
    remembered_idle_timeout INTEGER NOT NULL,
    absolute_lifetime       INTEGER NOT NULL
) STRICT;

-- The latest time that the store was told of: a clock that was set back revives nothing.
CREATE TABLE latest_time (
    row INTEGER PRIMARY KEY CHECK (row = 1),
    at  INTEGER NOT NULL
) STRICT;
INSERT INTO latest_time (row, at) VALUES (1, 0);

-- The accounts that have sessions on record. source: 0 is built-in, others are the application's number.
CREATE TABLE account (
    number INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    id     TEXT    NOT NULL,
    name   TEXT    NOT NULL,
    UNIQUE (source, id)
) STRICT;

-- A session: how it began and how it ended. sequence is the part of the id that grows with time.
CREATE TABLE session (
    sequence         INTEGER PRIMARY KEY,
    id               BLOB    NOT NULL,
    account          INTEGER NOT NULL REFERENCES account (number),
    token_hash       BLOB    NOT NULL,
    token_generation INTEGER NOT NULL,
    policy           INTEGER NOT NULL,
    remembered       INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    -- 4 or 16 bytes
    first_ip_address BLOB,
    -- system, its version, browser, its version: a JSON array
    first_device     TEXT    NOT NULL,
    -- all NULL while the session is in its owner's list, except that ended_by may stay NULL
    ended_at         INTEGER,
    left_list_at     INTEGER,
    ended_cause      TEXT,
    ended_by         BLOB
) STRICT;

-- The only index on sessions. An account's listed sessions come first (NULL), then the others as they left.
CREATE INDEX session_by_account ON session (account, left_list_at);

-- The last use of a session that was used after its sign-in.
CREATE TABLE last_use (
    sequence   INTEGER PRIMARY KEY REFERENCES session (sequence),
    used_at    INTEGER NOT NULL,
    ip_address BLOB,
    -- NULL is the device of the sign-in
    device     TEXT
) STRICT;

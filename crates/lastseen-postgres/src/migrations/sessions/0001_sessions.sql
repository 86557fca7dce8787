-- Times are milliseconds since the Unix epoch. `bits` are the first 16 bits of a session's id, which are its
-- account's; every statement says them and meets one partition. Why the tables are cut as they are:
-- docs/decisions/postgres-tables.md.

-- The policies that were ever in force, oldest first; the number is the place in that history, from 0.
CREATE TABLE policy (
    number                  bigint PRIMARY KEY,
    idle_timeout            bigint NOT NULL,
    remembered_idle_timeout bigint NOT NULL,
    absolute_lifetime       bigint NOT NULL
);

-- The latest time that the store was told of: a clock that was set back revives nothing.
CREATE TABLE latest_time (
    row integer PRIMARY KEY CHECK (row = 1),
    at  bigint  NOT NULL
) WITH (fillfactor = 20);
INSERT INTO latest_time (row, at) VALUES (1, 0);

-- The accounts that have sessions on record. source: 0 is built-in, others are the application's number.
-- Ids and names are bytes in UTF-8: `text` knows no zero, and its order depends on the server's language.
CREATE TABLE account (
    bits   integer NOT NULL,
    -- The first 16 bytes of the SHA-256 of source and id; the first two of them are `bits`.
    key    uuid    NOT NULL,
    source bigint  NOT NULL,
    id     bytea   NOT NULL,
    name   bytea   NOT NULL,
    PRIMARY KEY (bits, key)
) PARTITION BY HASH (bits);

-- A session: how it began and how it ended. sequence is the part of the id that grows with time. Whatever
-- updates a row here changes what other nodes may answer: uses are kept elsewhere.
CREATE TABLE session (
    bits             integer NOT NULL,
    expired          boolean NOT NULL DEFAULT false,
    remembered       boolean NOT NULL,
    sequence         bigint  NOT NULL,
    id               uuid    NOT NULL,
    account          uuid    NOT NULL,
    created_at       bigint  NOT NULL,
    policy           bigint  NOT NULL,
    token_generation bigint  NOT NULL,
    -- all NULL while the session is in its owner's list, except that ended_by may stay NULL
    ended_at         bigint,
    left_list_at     bigint,
    ended_by         uuid,
    ended_cause      text,
    token_hash       bytea   NOT NULL,
    -- The token that a link into the pages was exchanged for; NULL where there is none.
    page_token_hash  bytea,
    first_ip_address inet,
    -- system, its version, browser, its version: a JSON array
    first_device     text    NOT NULL,
    PRIMARY KEY (bits, sequence)
) PARTITION BY HASH (bits);

-- The only other index. An account's listed sessions are those with NULL.
CREATE INDEX session_by_account ON session (bits, account, left_list_at);

-- The last use of a session that was used after its sign-in. A table of its own, so that a use wakes no
-- trigger, and writes a third of the bytes.
CREATE TABLE last_use (
    bits       integer NOT NULL,
    sequence   bigint  NOT NULL,
    used_at    bigint  NOT NULL,
    -- Of an expired session: every node is known to have heard of that.
    settled    boolean NOT NULL DEFAULT false,
    ip_address inet,
    -- NULL is the device of the sign-in
    device     text,
    PRIMARY KEY (bits, sequence)
) PARTITION BY HASH (bits);

-- Sessions that left, expired or got another token; or were deleted while they could be used.
CREATE FUNCTION note_changed_sessions() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    ids        uuid[];
    partitions integer[];
BEGIN
    SELECT array_agg(id), array_agg(DISTINCT bits) INTO ids, partitions
        FROM before WHERE TG_OP = 'UPDATE' OR ended_at IS NULL;
    IF ids IS NULL THEN
        RETURN NULL;
    END IF;
    -- So many fit in one notification, and a whole account is one number.
    IF cardinality(ids) <= 100 THEN
        INSERT INTO change_log (kind, sessions) VALUES ('sessions', ids);
    ELSIF cardinality(partitions) <= 1000 THEN
        INSERT INTO change_log (kind, bits) VALUES ('partitions', partitions);
    ELSE
        PERFORM note_change('everything');
    END IF;
    RETURN NULL;
END
$$;

-- Accounts that got another name, which every session of theirs shows.
CREATE FUNCTION note_renamed_accounts() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    partitions integer[];
BEGIN
    SELECT array_agg(DISTINCT bits) INTO partitions
        FROM before JOIN after USING (bits, key) WHERE before.name <> after.name;
    IF cardinality(partitions) <= 1000 THEN
        INSERT INTO change_log (kind, bits) VALUES ('partitions', partitions);
    ELSIF partitions IS NOT NULL THEN
        PERFORM note_change('everything');
    END IF;
    RETURN NULL;
END
$$;

-- A statement wakes the triggers of the table that it names: the whole, or a partition by somebody's hand.
DO $$
DECLARE
    place text;
    part  text;
BEGIN
    FOR remainder IN 0..15 LOOP
        place := format('FOR VALUES WITH (MODULUS 16, REMAINDER %s)', remainder);
        EXECUTE format('CREATE TABLE account_%s PARTITION OF account %s', remainder, place);
        EXECUTE format('CREATE TABLE session_%s PARTITION OF session %s', remainder, place);
        -- Room in each page, so that a use is written beside the one before and no index hears of it.
        EXECUTE format('CREATE TABLE last_use_%s PARTITION OF last_use %s WITH (fillfactor = 80)', remainder, place);
    END LOOP;
    FOR remainder IN -1..15 LOOP
        part := CASE WHEN remainder < 0 THEN '' ELSE '_' || remainder END;
        EXECUTE format('CREATE TRIGGER note_update AFTER UPDATE ON session%s REFERENCING OLD TABLE AS before
            FOR EACH STATEMENT EXECUTE FUNCTION note_changed_sessions()', part);
        EXECUTE format('CREATE TRIGGER note_delete AFTER DELETE ON session%s REFERENCING OLD TABLE AS before
            FOR EACH STATEMENT EXECUTE FUNCTION note_changed_sessions()', part);
        EXECUTE format('CREATE TRIGGER note_truncate AFTER TRUNCATE ON session%s
            FOR EACH STATEMENT EXECUTE FUNCTION note_change_of_kind(''everything'')', part);
        EXECUTE format('CREATE TRIGGER note_rename AFTER UPDATE ON account%s
            REFERENCING OLD TABLE AS before NEW TABLE AS after
            FOR EACH STATEMENT EXECUTE FUNCTION note_renamed_accounts()', part);
    END LOOP;
END
$$;

CREATE TRIGGER note_policy AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON policy
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_of_kind('policies');

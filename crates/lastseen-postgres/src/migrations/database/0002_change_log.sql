-- What other nodes' memory has to follow, on record with the change itself: triggers write it, so that a
-- command, psql and a node of another version are covered too. Why it is built so: docs/decisions/postgres-tables.md.

CREATE TABLE change_log (
    -- The transaction. Numbers are drawn at its first write and commit in any order: only a snapshot says
    -- which of them have happened.
    xid      xid8    NOT NULL DEFAULT pg_current_xact_id(),
    -- Orders the rows of one transaction.
    number   bigint  GENERATED ALWAYS AS IDENTITY,
    -- 'sessions': those in `sessions`; 'partitions': all that begin with one of `bits`; 'policies': the
    -- history; 'everything'. Others are of other parts of the program: 'applications', 'accounts'.
    kind     text    NOT NULL,
    sessions uuid[],
    bits     integer[],
    -- Who waits for acknowledgements. NULL: nobody, psql for instance.
    origin   text    DEFAULT nullif(current_setting('lastseen.origin', true), ''),
    PRIMARY KEY (xid, number)
);

-- Notes a change. Called by triggers; `what` is one of the kinds.
CREATE FUNCTION note_change(what text, which_sessions uuid[] DEFAULT NULL, which_bits integer[] DEFAULT NULL)
RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS $$
    INSERT INTO change_log (kind, sessions, bits) VALUES (what, which_sessions, which_bits);
$$;

-- A trigger that notes a change of the kind that is its argument.
CREATE FUNCTION note_change_of_kind() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM note_change(TG_ARGV[0]);
    RETURN NULL;
END
$$;

-- One notification for each transaction that noted something, at its commit, with all that it noted:
-- {"xid":"7","origin":"…","kinds":["sessions"],"sessions":["…"],"bits":[1,2]}.
-- What does not fit (8,000 bytes) is told by the bits of its sessions, and what still does not, as everything.
CREATE FUNCTION notify_of_changes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    kinds    jsonb;
    sessions jsonb;
    bits     jsonb;
    message  jsonb;
BEGIN
    IF current_setting('lastseen.notify', true) = 'off'
        -- The last row of the transaction speaks for all of them.
        OR EXISTS (SELECT FROM change_log WHERE xid = NEW.xid AND number > NEW.number)
    THEN
        RETURN NULL;
    END IF;
    IF NOT EXISTS (SELECT FROM change_log WHERE xid = NEW.xid AND number < NEW.number) THEN
        -- The only one, as nearly always.
        kinds := jsonb_build_array(NEW.kind);
        sessions := to_jsonb(NEW.sessions);
        bits := to_jsonb(NEW.bits);
    ELSE
        SELECT jsonb_agg(DISTINCT kind) INTO kinds FROM change_log WHERE xid = NEW.xid;
        SELECT jsonb_agg(DISTINCT session) INTO sessions
            FROM change_log CROSS JOIN LATERAL unnest(change_log.sessions) AS session WHERE xid = NEW.xid;
        SELECT jsonb_agg(DISTINCT bit) INTO bits
            FROM change_log CROSS JOIN LATERAL unnest(change_log.bits) AS bit WHERE xid = NEW.xid;
    END IF;
    message := jsonb_strip_nulls(jsonb_build_object(
        'xid', NEW.xid::text, 'origin', NEW.origin, 'kinds', kinds, 'sessions', sessions, 'bits', bits));
    IF octet_length(message::text) > 7800 THEN
        SELECT jsonb_agg(DISTINCT bit) INTO bits FROM (
            SELECT unnest(change_log.bits) AS bit FROM change_log WHERE xid = NEW.xid
            UNION ALL
            -- A session's bits are the first four digits of its id.
            SELECT ('x' || left(unnest(change_log.sessions)::text, 4))::bit(16)::integer
                FROM change_log WHERE xid = NEW.xid
        ) AS all_bits;
        kinds := kinds - 'sessions' || '["partitions"]'::jsonb;
        message := jsonb_strip_nulls(jsonb_build_object(
            'xid', NEW.xid::text, 'origin', NEW.origin, 'kinds', kinds, 'bits', bits));
    END IF;
    IF octet_length(message::text) > 7800 THEN
        message := jsonb_strip_nulls(jsonb_build_object(
            'xid', NEW.xid::text, 'origin', NEW.origin, 'kinds', '["everything"]'::jsonb));
    END IF;
    PERFORM pg_notify('lastseen_changes', message::text);
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER notify_of_changes AFTER INSERT ON change_log
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION notify_of_changes();

-- The programs that bring accounts of their own. Times are milliseconds since the Unix epoch.
CREATE TABLE application (
    -- Never given away twice, also after a removal: what is on record of its accounts names it. 0 is the
    -- built-in accounts.
    id         bigint  PRIMARY KEY,
    -- As it was typed.
    name       text    NOT NULL,
    -- What is compared in its stead, in UTF-8: see accounts/name.rs.
    name_key   bytea   NOT NULL UNIQUE,
    -- SHA-256 of the secret in its key.
    key_hash   bytea   NOT NULL,
    added_at   bigint  NOT NULL,
    -- Its key is refused and its sessions are being ended; when they have, the row goes.
    is_leaving boolean NOT NULL
);

-- The number that was given away last. Not a sequence: this one is copied with the rest, and undone with the rest.
CREATE TABLE application_number (
    row  integer PRIMARY KEY CHECK (row = 1),
    last bigint  NOT NULL
);
INSERT INTO application_number (row, last) VALUES (1, 0);

-- Links into the pages that have been given out and not been used: see links.rs.
CREATE TABLE application_link (
    id          bytea  PRIMARY KEY,
    -- SHA-256 of the secret in the link.
    secret_hash bytea  NOT NULL,
    application bigint NOT NULL REFERENCES application (id) ON DELETE CASCADE,
    session     bytea  NOT NULL,
    expires_at  bigint NOT NULL
);
CREATE INDEX application_link_expiry ON application_link (expires_at);
CREATE INDEX application_link_application ON application_link (application);

-- Where somebody goes back to who came into the pages by a link, by the session that the link opened.
CREATE TABLE application_way_back (
    session     bytea  PRIMARY KEY,
    application bigint NOT NULL REFERENCES application (id) ON DELETE CASCADE,
    address     text   NOT NULL,
    -- The end of the session's absolute lifetime: it is of no use to anybody afterwards.
    expires_at  bigint NOT NULL
);
CREATE INDEX application_way_back_expiry ON application_way_back (expires_at);
CREATE INDEX application_way_back_application ON application_way_back (application);

-- Every node's memory follows: a new key is accepted and an old one refused by all of them.
CREATE TRIGGER note_application AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON application
    FOR EACH STATEMENT EXECUTE FUNCTION note_change_of_kind('applications');

-- The programs that bring accounts of their own.
CREATE TABLE application (
    -- Never given away twice, also after a removal: what is on record of its accounts names it. 0 is the
    -- built-in accounts.
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    -- As it was typed.
    name       TEXT    NOT NULL,
    -- What is compared in its stead: see accounts/name.rs.
    name_key   TEXT    NOT NULL UNIQUE,
    -- SHA-256 of the secret in its key.
    key_hash   BLOB    NOT NULL,
    -- Milliseconds since the Unix epoch, as all times.
    added_at   INTEGER NOT NULL,
    -- Its key is refused and its sessions are being ended; when they have, the row goes.
    is_leaving INTEGER NOT NULL
) STRICT;

-- Links into the pages that have been given out and not been used: see links.rs.
CREATE TABLE application_link (
    id          BLOB    NOT NULL PRIMARY KEY,
    -- SHA-256 of the secret in the link.
    secret_hash BLOB    NOT NULL,
    application INTEGER NOT NULL REFERENCES application (id) ON DELETE CASCADE,
    session     BLOB    NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX application_link_expiry ON application_link (expires_at);
CREATE INDEX application_link_application ON application_link (application);

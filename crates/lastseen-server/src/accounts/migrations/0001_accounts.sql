-- The accounts that this server keeps itself.
CREATE TABLE built_in_account (
    id            TEXT    NOT NULL PRIMARY KEY,
    -- As it was typed.
    name          TEXT    NOT NULL,
    -- What is compared in its stead: see name.rs.
    name_key      TEXT    NOT NULL UNIQUE,
    -- A PHC string.
    password_hash TEXT    NOT NULL,
    disabled      INTEGER NOT NULL,
    -- Grows by one when the password changes or the account is disabled or enabled.
    version       INTEGER NOT NULL,
    -- Milliseconds since the Unix epoch, as all times.
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

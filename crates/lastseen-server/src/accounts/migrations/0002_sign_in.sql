-- Failures to sign in that still count, by a digest of name and address: see sign_in/throttle.rs.
CREATE TABLE sign_in_failure (
    counter      BLOB    NOT NULL PRIMARY KEY,
    -- When they were, oldest first: eight bytes each, big endian.
    times        BLOB    NOT NULL,
    forgotten_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_failure_forgotten ON sign_in_failure (forgotten_at);

-- Failures to sign in with one name from anywhere, by a digest of the name.
CREATE TABLE sign_in_pressure (
    counter  BLOB    NOT NULL PRIMARY KEY,
    -- When all of them are forgiven.
    empty_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_pressure_empty ON sign_in_pressure (empty_at);

-- Browsers that have signed in to an account: see sign_in/known_browser.rs.
CREATE TABLE known_browser (
    account_id   TEXT    NOT NULL REFERENCES built_in_account (id) ON DELETE CASCADE,
    browser_id   BLOB    NOT NULL,
    -- SHA-256 of the secret in the browser's mark.
    secret_hash  BLOB    NOT NULL,
    -- Whether the browser has ever brought a mark back.
    returned     INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, browser_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX known_browser_by_id ON known_browser (browser_id);

-- Built-in accounts. Times are milliseconds since the Unix epoch.
CREATE TABLE built_in_account (
    id            text    PRIMARY KEY COLLATE "C",
    -- As it was typed.
    name          text    NOT NULL,
    -- What is compared in its stead, in UTF-8: see accounts/name.rs. Bytes, because what is typed where a name
    -- belongs may hold a zero, and because the order of `text` depends on the server's language.
    name_key      bytea   NOT NULL UNIQUE,
    password_hash text    NOT NULL,
    disabled      boolean NOT NULL,
    -- Grows with every change that a sign-in under way must notice.
    version       bigint  NOT NULL,
    created_at    bigint  NOT NULL
);

-- The row that everybody locks who adds an account: of many first accounts at once, one is the first.
CREATE TABLE built_in_account_gate (
    row integer PRIMARY KEY CHECK (row = 1)
);
INSERT INTO built_in_account_gate (row) VALUES (1);

-- Failures to sign in that still count, by a digest of name and address: see sign_in/throttle.rs.
CREATE TABLE sign_in_failure (
    counter      bytea    PRIMARY KEY,
    -- When they were, oldest first.
    times        bigint[] NOT NULL,
    forgotten_at bigint   NOT NULL
);
CREATE INDEX sign_in_failure_forgotten ON sign_in_failure (forgotten_at);

-- Failures to sign in with one name from anywhere, by a digest of the name.
CREATE TABLE sign_in_pressure (
    counter  bytea  PRIMARY KEY,
    -- When all of them are forgiven.
    empty_at bigint NOT NULL
);
CREATE INDEX sign_in_pressure_empty ON sign_in_pressure (empty_at);

-- Browsers that have signed in to an account: see sign_in/known_browser.rs.
CREATE TABLE known_browser (
    account_id   text    NOT NULL COLLATE "C" REFERENCES built_in_account (id) ON DELETE CASCADE,
    browser_id   bytea   NOT NULL,
    -- SHA-256 of the secret in the browser's mark.
    secret_hash  bytea   NOT NULL,
    -- Whether the browser has ever brought a mark back.
    returned     boolean NOT NULL,
    last_used_at bigint  NOT NULL,
    PRIMARY KEY (account_id, browser_id)
);
CREATE INDEX known_browser_by_id ON known_browser (browser_id);

-- Links that make the first account, one of each node that was started while there was none.
CREATE TABLE set_up_link (
    id          bytea  PRIMARY KEY,
    -- SHA-256 of the secret in the link.
    secret_hash bytea  NOT NULL,
    expires_at  bigint NOT NULL
);

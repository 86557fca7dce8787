-- Where somebody goes back to who came into the pages by a link, by the session that the link opened.
CREATE TABLE application_way_back (
    session     BLOB    NOT NULL PRIMARY KEY,
    application INTEGER NOT NULL REFERENCES application (id) ON DELETE CASCADE,
    address     TEXT    NOT NULL,
    -- The end of the session's absolute lifetime: it is of no use to anybody afterwards.
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX application_way_back_expiry ON application_way_back (expires_at);
CREATE INDEX application_way_back_application ON application_way_back (application);

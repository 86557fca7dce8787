-- The SHA-256 of the token that a link into the pages was exchanged for; NULL where there is none.
ALTER TABLE session ADD COLUMN page_token_hash BLOB;

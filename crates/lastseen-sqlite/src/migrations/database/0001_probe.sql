-- One row that is written to find out whether the database can be written.
CREATE TABLE probe (
    row     INTEGER PRIMARY KEY CHECK (row = 1),
    written INTEGER NOT NULL
) STRICT;
INSERT INTO probe (row, written) VALUES (1, 0);

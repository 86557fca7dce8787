-- One row that is written to find out whether the database can be written.
CREATE TABLE probe (
    row     integer PRIMARY KEY CHECK (row = 1),
    written bigint  NOT NULL
);
INSERT INTO probe (row, written) VALUES (1, 0);

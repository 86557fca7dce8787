-- Has a row from the beginning of a copy into this database to its end: what is in it then is a part of the copy only.
CREATE TABLE copy_under_way (
    row INTEGER PRIMARY KEY CHECK (row = 1)
) STRICT;

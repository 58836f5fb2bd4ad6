-- The rows of each finished stage have a checksum, and commits are counted.

ALTER TABLE stage ADD COLUMN sha256 TEXT;

CREATE TABLE commits (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL
);

INSERT INTO commits VALUES (1, 0);

INSERT INTO meta VALUES ('begun_with_version', '1');

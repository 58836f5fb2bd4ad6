-- The rows of each finished stage have a checksum, and commits are counted.

ALTER TABLE stage ADD COLUMN sha256 TEXT;

CREATE TABLE commits (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL
);

INSERT INTO commits VALUES (1, 0);

INSERT INTO meta VALUES ('begun_with_version', '1');

-- Inputs and models are known by their content. What an older run was trained on is in `step` already.

CREATE TABLE input (
    kind      TEXT NOT NULL,
    owner     TEXT NOT NULL,
    place     INTEGER NOT NULL,
    path      TEXT NOT NULL,
    bytes     INTEGER NOT NULL,
    sha256    TEXT NOT NULL,
    iteration INTEGER NOT NULL,
    stage     TEXT NOT NULL,
    PRIMARY KEY (kind, owner, place)
) WITHOUT ROWID;

CREATE TABLE model (
    name      TEXT PRIMARY KEY,
    sha256    TEXT NOT NULL,
    iteration INTEGER NOT NULL,
    stage     TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE hashed (
    path   TEXT PRIMARY KEY,
    state  TEXT NOT NULL,
    sha256 TEXT NOT NULL
) WITHOUT ROWID;

ALTER TABLE timing RENAME TO timing_1;

CREATE TABLE timing (
    iteration INTEGER NOT NULL,
    stage     TEXT NOT NULL,
    seconds   REAL NOT NULL,
    read      INTEGER NOT NULL,
    reused    INTEGER NOT NULL,
    generated INTEGER NOT NULL,
    PRIMARY KEY (iteration, stage)
) WITHOUT ROWID;

INSERT INTO timing SELECT iteration, stage, seconds, read, reused, generated FROM timing_1;

DROP TABLE timing_1;

-- Several files may have rejected lines of the same number.

ALTER TABLE reject RENAME TO reject_1;

CREATE TABLE reject (
    file   TEXT NOT NULL,
    place  INTEGER NOT NULL,
    reason TEXT NOT NULL,
    text   TEXT NOT NULL,
    PRIMARY KEY (file, place)
) WITHOUT ROWID;

INSERT INTO reject SELECT '', place, reason, text FROM reject_1;

DROP TABLE reject_1;

-- Examples that were set aside.

CREATE TABLE set_aside (
    iteration INTEGER NOT NULL,
    phase     TEXT NOT NULL,
    key       TEXT NOT NULL,
    step      INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    PRIMARY KEY (iteration, phase, key)
) WITHOUT ROWID;

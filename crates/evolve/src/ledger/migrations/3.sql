-- A person's judgements, the examples of each step, and indices for looking at records.

ALTER TABLE sft ADD COLUMN judgement INTEGER;

ALTER TABLE pair ADD COLUMN judgement INTEGER;

-- What a person decided about a record or a preference pair. The last row about one thing counts; it overrides the model's in the
-- annotate stages that come after it.
CREATE TABLE judgement (
    number    INTEGER PRIMARY KEY,  -- in the order in which they were made
    subject   TEXT NOT NULL,        -- record, pair
    iteration INTEGER NOT NULL,     -- of the record or the pair
    key       TEXT NOT NULL,        -- of the record or the pair
    action    TEXT NOT NULL,        -- accept, reject, edit, flip, score
    score     REAL,                 -- 0 to 10, of the action score
    response  TEXT,                 -- what a person wrote instead, of the action edit: the response, or the chosen side
    person    TEXT NOT NULL,        -- who
    at        TEXT NOT NULL         -- when: RFC 3339, UTC
);

-- The examples of each optimizer step, and what each of them contributed.
CREATE TABLE step_example (
    iteration INTEGER NOT NULL,
    phase     TEXT NOT NULL,
    step      INTEGER NOT NULL,
    place     INTEGER NOT NULL,     -- within the step, from 0
    key       TEXT NOT NULL,        -- of the example or pair
    loss      REAL NOT NULL,        -- fine-tuning: nats a token; preference: the pair's own loss
    margin    REAL,                 -- preference: chosen less rejected implicit reward
    PRIMARY KEY (iteration, phase, step, place)
) WITHOUT ROWID;

-- By these a page of records or the lineage of one is found without reading the whole table.
CREATE INDEX judgement_of ON judgement (subject, key, iteration);
CREATE INDEX step_example_of ON step_example (phase, key, iteration, step);
CREATE INDEX record_of_iteration ON record (iteration, key);
CREATE INDEX record_of_origin ON record (origin, key);
CREATE INDEX record_from ON record (source);
CREATE INDEX sample_from ON sample (parent);
CREATE INDEX review_of ON review (record, iteration);
CREATE INDEX review_by_score ON review (iteration, score, record);
CREATE INDEX verdict_by_rule ON verdict (rule, record);
CREATE INDEX verdict_like ON verdict (resembles);
CREATE INDEX sft_of ON sft (record);
CREATE INDEX pair_of ON pair (record);
CREATE INDEX pair_rejecting ON pair (rejected_record);

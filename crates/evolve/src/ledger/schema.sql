-- The ledger of a run. Every row has a key made from what caused it, and is written when the thing exists.
-- Only `timing`, `hashed` and `commits` depend on when and how often a run was interrupted; and the name `run` in `meta` is drawn at
-- random for each run.
-- This is the newest version: a change comes with a file in migrations/ (see migrations.rs).

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- How often was committed, to see that no commit is missing; one row.
CREATE TABLE commits (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL
);

INSERT INTO commits VALUES (1, 0);

-- The files from which everything follows, each as it was when the run first knew it. A run whose files are others does not go
-- on.
CREATE TABLE input (
    kind      TEXT NOT NULL,    -- seeds, model, task, task_data
    owner     TEXT NOT NULL,    -- what the recipe calls it: the path of the seeds, of the model or of the task file
    place     INTEGER NOT NULL, -- its place among the files of its owner, in the order in which they are read
    path      TEXT NOT NULL,
    bytes     INTEGER NOT NULL,
    sha256    TEXT NOT NULL,
    iteration INTEGER NOT NULL, -- the stage from which on it is known: the first one, but in runs of older versions
    stage     TEXT NOT NULL,
    PRIMARY KEY (kind, owner, place)
) WITHOUT ROWID;

-- The models that the run has written, each by its content when the stage that wrote it was finished.
CREATE TABLE model (
    name      TEXT PRIMARY KEY, -- within models/: m0.gguf, m1.gguf, m1; and m1-sft, which is removed when its iteration ends
    sha256    TEXT NOT NULL,    -- of a folder, over the names and hashes of its files
    iteration INTEGER NOT NULL,
    stage     TEXT NOT NULL
) WITHOUT ROWID;

-- What a file was when it was hashed, so that one that has not been touched since is not read again.
CREATE TABLE hashed (
    path   TEXT PRIMARY KEY,
    state  TEXT NOT NULL,       -- size, times of change, place on the disk
    sha256 TEXT NOT NULL
) WITHOUT ROWID;

-- Stages that are finished.
CREATE TABLE stage (
    iteration INTEGER NOT NULL,
    stage     TEXT NOT NULL,
    sha256    TEXT,             -- of the stage's rows; absent where a lancer finished it that made none
    PRIMARY KEY (iteration, stage)
) WITHOUT ROWID;

-- What a stage took, over all sessions together. What it trained on is in `step`.
CREATE TABLE timing (
    iteration INTEGER NOT NULL,
    stage     TEXT NOT NULL,
    seconds   REAL NOT NULL,
    read      INTEGER NOT NULL, -- tokens that were read
    reused    INTEGER NOT NULL, -- prompt tokens that did not have to be computed again
    generated INTEGER NOT NULL, -- tokens that were written
    PRIMARY KEY (iteration, stage)
) WITHOUT ROWID;

-- Lines of the files of seeds that could not be used.
CREATE TABLE reject (
    file   TEXT NOT NULL,
    place  INTEGER NOT NULL,    -- line or row, from 1
    reason TEXT NOT NULL,
    text   TEXT NOT NULL,
    PRIMARY KEY (file, place)
) WITHOUT ROWID;

-- Conversations that end with a response: the seeds (iteration 0), and what was written and is usable. `prompt` and `response` are
-- what they are compared by: what the user wrote, and the answer without thoughts.
CREATE TABLE record (
    key       TEXT PRIMARY KEY,
    iteration INTEGER NOT NULL,
    origin    TEXT NOT NULL,    -- seed, new_prompt, worse_response
    source    TEXT,             -- the record it was written from
    seed      TEXT NOT NULL,    -- the seed it descends from
    sample    TEXT,             -- the sample that holds the response
    prompt    TEXT NOT NULL,
    response  TEXT NOT NULL,
    conversation TEXT,          -- JSON: the messages and the tools; absent where it is the prompt and the response alone
    fields    TEXT              -- JSON: what else the row of a seed holds; absent where there is nothing
) WITHOUT ROWID;

-- Every text that was generated.
CREATE TABLE sample (
    key       TEXT PRIMARY KEY,
    iteration INTEGER NOT NULL,
    writing   TEXT NOT NULL,    -- new_prompt, response, worse_response
    parent    TEXT NOT NULL,    -- the record (new_prompt, worse_response) or the prompt's sample (response)
    number    INTEGER NOT NULL,
    text      TEXT NOT NULL,
    unusable  TEXT,             -- why it is not used
    tokens    INTEGER NOT NULL,
    finish    TEXT NOT NULL
) WITHOUT ROWID;

-- The pool of seeds: a record belongs to it from this iteration on.
CREATE TABLE pool (
    record    TEXT PRIMARY KEY,
    iteration INTEGER NOT NULL
) WITHOUT ROWID;

-- How well each mode of review tells seeds from damaged seeds, and the reviewer that is used.
CREATE TABLE calibration (
    iteration INTEGER PRIMARY KEY,
    value     TEXT NOT NULL     -- JSON
);

CREATE TABLE review (
    iteration INTEGER NOT NULL,
    record    TEXT NOT NULL,
    score     REAL,             -- 0 to 10; absent where the review could not be read
    reason    TEXT,             -- why there is no score
    detail    TEXT NOT NULL,    -- JSON
    PRIMARY KEY (iteration, record)
) WITHOUT ROWID;

-- What cleaning decided about each new record.
CREATE TABLE verdict (
    record    TEXT PRIMARY KEY,
    iteration INTEGER NOT NULL,
    rule      TEXT,             -- the rule that dropped it; absent where it is kept
    resembles TEXT,             -- the record it is too like
    detail    TEXT
) WITHOUT ROWID;

-- Examples for fine-tuning.
CREATE TABLE sft (
    iteration INTEGER NOT NULL,
    key       TEXT NOT NULL,
    kind      TEXT NOT NULL,    -- response, review
    record    TEXT NOT NULL,
    score     REAL,
    prompt    TEXT NOT NULL,
    response  TEXT NOT NULL,
    judgement INTEGER,          -- the person's judgement that made it what it is
    PRIMARY KEY (iteration, key)
) WITHOUT ROWID;

-- Preference pairs.
CREATE TABLE pair (
    iteration       INTEGER NOT NULL,
    key             TEXT NOT NULL,
    record          TEXT NOT NULL,  -- of the chosen response
    rejected_record TEXT,           -- of the rejected response, where it is one
    rejected_kind   TEXT NOT NULL,  -- how the rejected side was made
    chosen_score    REAL,
    rejected_score  REAL,
    prompt          TEXT NOT NULL,
    chosen          TEXT NOT NULL,
    rejected        TEXT NOT NULL,
    judgement       INTEGER,        -- the person's judgement that made it what it is
    PRIMARY KEY (iteration, key)
) WITHOUT ROWID;

-- Log-probabilities of pairs under the reference model: sums over the tokens of a response, and how many those are. For KTO
-- also of the chosen response of another pair. As columns, since numbers in JSON are not read back to the last bit.
CREATE TABLE reference (
    iteration         INTEGER NOT NULL,
    pair              TEXT NOT NULL,
    chosen            REAL NOT NULL,
    chosen_tokens     INTEGER NOT NULL,
    rejected          REAL NOT NULL,
    rejected_tokens   INTEGER NOT NULL,
    mismatched_of     TEXT,
    mismatched        REAL,
    mismatched_tokens INTEGER,
    PRIMARY KEY (iteration, pair)
) WITHOUT ROWID;

-- Optimizer steps.
CREATE TABLE step (
    iteration     INTEGER NOT NULL,
    phase         TEXT NOT NULL,    -- sft, preference
    step          INTEGER NOT NULL,
    loss          REAL NOT NULL,
    learning_rate REAL NOT NULL,
    gradient_norm REAL NOT NULL,
    examples      INTEGER NOT NULL,
    tokens        INTEGER NOT NULL,
    target_tokens INTEGER NOT NULL,
    preference    TEXT,             -- JSON: rewards, margin, accuracy, log-probabilities
    PRIMARY KEY (iteration, phase, step)
) WITHOUT ROWID;

-- The loss on held-out examples during training.
CREATE TABLE held_out (
    iteration     INTEGER NOT NULL,
    phase         TEXT NOT NULL,
    step          INTEGER NOT NULL,
    loss          REAL NOT NULL,
    examples      INTEGER NOT NULL,
    preference    TEXT,
    PRIMARY KEY (iteration, phase, step)
) WITHOUT ROWID;

-- Examples that a phase of training set aside, since a loss or a gradient with them was not finite.
CREATE TABLE set_aside (
    iteration INTEGER NOT NULL,
    phase     TEXT NOT NULL,
    key       TEXT NOT NULL,        -- of the example or pair
    step      INTEGER NOT NULL,     -- the step that was to be made; for what is held out, the steps made until then
    reason    TEXT NOT NULL,        -- reference, loss, gradient, shared_gradient
    PRIMARY KEY (iteration, phase, key)
) WITHOUT ROWID;

-- Items of evaluation tasks, answered by the model of an iteration (0: the model before the run).
CREATE TABLE evaluation (
    iteration INTEGER NOT NULL,
    task      TEXT NOT NULL,
    item      INTEGER NOT NULL,
    value     REAL NOT NULL,
    weight    REAL NOT NULL,
    detail    TEXT NOT NULL,    -- JSON
    PRIMARY KEY (iteration, task, item)
) WITHOUT ROWID;

-- The model that an iteration starts from, and what decided it.
CREATE TABLE start (
    iteration INTEGER PRIMARY KEY,
    model     INTEGER NOT NULL,   -- the number of the model
    reason    TEXT NOT NULL
);

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

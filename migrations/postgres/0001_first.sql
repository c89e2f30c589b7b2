-- What survives a restart. Times are Unix milliseconds; nothing here is a secret except meta.link_secret.

-- Every delivery that was accepted, for people who ask what arrived.
CREATE TABLE deliveries (
    seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    forge       TEXT    NOT NULL,
    delivery    TEXT    NOT NULL,
    event       TEXT    NOT NULL,
    repository  TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    received_at BIGINT  NOT NULL
);
CREATE INDEX deliveries_by_time ON deliveries (received_at);

-- The gated repositories, and the queue: a row is due when `hinted` is ahead of `settled` and `not_before` has
-- passed, or when `look_at` has.
CREATE TABLE repositories (
    forge      TEXT    NOT NULL,
    name       TEXT    NOT NULL, -- as configured
    forge_id   BIGINT,           -- the forge's number: stays through renames
    current    TEXT,             -- the name now, where it differs
    private    BIGINT  NOT NULL DEFAULT 1,
    hinted     BIGINT  NOT NULL DEFAULT 0,
    settled    BIGINT  NOT NULL DEFAULT 0,
    hinted_at  BIGINT,           -- of the oldest hint that is not settled
    not_before BIGINT  NOT NULL DEFAULT 0,
    attempts   BIGINT  NOT NULL DEFAULT 0,
    look_at    BIGINT,           -- look again at this moment even without a hint
    unreadable_since BIGINT, 
    trouble    TEXT,
    PRIMARY KEY (forge, name)
);

-- Comments that may be commands; each acts once.
CREATE TABLE comments (
    forge       TEXT    NOT NULL,
    repository  TEXT    NOT NULL,
    comment     BIGINT  NOT NULL,
    pull        BIGINT  NOT NULL,
    received_at BIGINT  NOT NULL,
    acted_at    BIGINT, 
    outcome     TEXT,
    attempts    BIGINT  NOT NULL DEFAULT 0,
    not_before  BIGINT  NOT NULL DEFAULT 0,
    PRIMARY KEY (forge, repository, comment)
);

-- One row for each key that a forge can hold one status for: what it should say, and what it was last told.
CREATE TABLE wanted (
    id           TEXT    PRIMARY KEY, -- HMAC of the key: the address of its page
    forge        TEXT    NOT NULL,
    repository   TEXT    NOT NULL,    -- as configured
    forge_id     BIGINT  NOT NULL,
    sha          TEXT    NOT NULL,
    context      TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    description  TEXT    NOT NULL,
    url          TEXT    NOT NULL,
    judgements   TEXT    NOT NULL,    -- JSON: gate, role, and the report's key or why there is none
    decided_at   BIGINT  NOT NULL,
    head         BIGINT  NOT NULL DEFAULT 1, -- still the head of something
    told_state   TEXT,
    told_description TEXT,
    told_at      BIGINT, 
    doubt        BIGINT  NOT NULL DEFAULT 1, -- what the forge has is not known: read before writing
    attempts     BIGINT  NOT NULL DEFAULT 0,
    not_before   BIGINT  NOT NULL DEFAULT 0,
    trouble      TEXT,
    UNIQUE (forge, forge_id, sha, context)
);
CREATE INDEX wanted_unsent ON wanted (not_before)
    WHERE head = 1 AND (told_state IS NULL OR told_state <> state OR told_description <> description);
CREATE INDEX wanted_by_repository ON wanted (forge, repository) WHERE head = 1;

-- What each key said before.
CREATE TABLE history (
    seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    wanted      TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    description TEXT    NOT NULL,
    decided_at  BIGINT  NOT NULL
);
CREATE INDEX history_by_wanted ON history (wanted, seq);

-- Verdicts by content: the key is the digest of the gate, the case and the engine.
CREATE TABLE reports (
    key        TEXT    PRIMARY KEY,
    report     TEXT    NOT NULL,
    created_at BIGINT  NOT NULL
);

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

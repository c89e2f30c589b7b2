-- What people let pass in spite of its verdict. A row that has ended says who let what pass, and until when.
CREATE TABLE waivers (
    seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    forge      TEXT    NOT NULL,
    repository TEXT    NOT NULL, -- as configured
    pull       BIGINT  NOT NULL,
    gate       TEXT    NOT NULL, -- its id
    comment    BIGINT  NOT NULL, -- the one that asked for it
    login      TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    sha        TEXT    NOT NULL, -- the head at that moment
    items      TEXT    NOT NULL, -- what it covers, the controller's JSON
    made_at    BIGINT  NOT NULL,
    until_at   BIGINT,           -- NULL: at no time of its own
    ended_at   BIGINT,
    ended      TEXT,             -- why, in words
    UNIQUE (forge, repository, comment, gate)
);
CREATE INDEX waivers_in_force ON waivers (forge, repository) WHERE ended_at IS NULL;
CREATE INDEX waivers_ended ON waivers (ended_at) WHERE ended_at IS NOT NULL;

-- The one comment of ours on each pull request: what it is to say, and what it was last written for.
CREATE TABLE answers (
    forge        TEXT    NOT NULL,
    repository   TEXT    NOT NULL,
    pull         BIGINT  NOT NULL,
    comment      BIGINT,             -- the forge's number; NULL: not known
    said         TEXT    NOT NULL,   -- what was asked last and what came of it, the controller's JSON
    asked        BIGINT  NOT NULL,   -- counts what was asked
    checked      BIGINT  NOT NULL,   -- the count at the last command that judges afresh
    answered     BIGINT  NOT NULL DEFAULT 0, -- the count that it was last written for
    asked_at     BIGINT,             -- the oldest that is not answered
    not_before   BIGINT  NOT NULL DEFAULT 0,
    attempts     BIGINT  NOT NULL DEFAULT 0,
    answered_at  BIGINT,
    lease        BIGINT  NOT NULL DEFAULT 0,
    leased_by    TEXT,
    leased_until BIGINT,
    taken_over   BIGINT  NOT NULL DEFAULT 0,
    PRIMARY KEY (forge, repository, pull)
);

-- Who did what by a comment, and what ended by itself.
CREATE TABLE audit (
    seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         BIGINT  NOT NULL,
    forge      TEXT    NOT NULL,
    repository TEXT    NOT NULL,
    pull       BIGINT  NOT NULL,
    comment    BIGINT,           -- NULL: it ended by itself
    login      TEXT    NOT NULL, -- '' likewise
    act        TEXT    NOT NULL, -- waive, unwaive, rebuild, refused, ended
    gate       TEXT    NOT NULL, -- its id; '' where it is about all of them
    words      TEXT    NOT NULL,
    UNIQUE (forge, repository, comment, act, gate)
);

CREATE INDEX comments_unread ON comments (forge, repository, pull, comment) WHERE acted_at IS NULL;

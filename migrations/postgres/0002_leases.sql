-- Leases: who works on what, until when. `lease` counts up with each claim and is what a holder shows before it writes;
-- a row is free where `leased_until` is NULL, and up for taking over once that time has passed.

-- Apart from `repositories`, so that a hint never waits for a claim, nor a claim for a flood of hints.
CREATE TABLE looks (
    forge        TEXT    NOT NULL,
    name         TEXT    NOT NULL, -- as configured
    lease        BIGINT NOT NULL DEFAULT 0,
    leased_by    TEXT,
    leased_until BIGINT,
    taken_over   BIGINT NOT NULL DEFAULT 0, -- the holder before did not give it back
    PRIMARY KEY (forge, name)
);
INSERT INTO looks (forge, name) SELECT forge, name FROM repositories;

ALTER TABLE comments ADD COLUMN lease BIGINT NOT NULL DEFAULT 0;
ALTER TABLE comments ADD COLUMN leased_by TEXT;
ALTER TABLE comments ADD COLUMN leased_until BIGINT;
ALTER TABLE comments ADD COLUMN taken_over BIGINT NOT NULL DEFAULT 0;

ALTER TABLE wanted ADD COLUMN lease BIGINT NOT NULL DEFAULT 0;
ALTER TABLE wanted ADD COLUMN leased_by TEXT;
ALTER TABLE wanted ADD COLUMN leased_until BIGINT;
ALTER TABLE wanted ADD COLUMN taken_over BIGINT NOT NULL DEFAULT 0;
-- Read the forge again at this moment: what a holder that was given up sent may still have landed until then.
ALTER TABLE wanted ADD COLUMN recheck_at BIGINT;

DROP INDEX wanted_unsent;
CREATE INDEX wanted_unsent ON wanted (forge, not_before)
    WHERE head = 1 AND (told_state IS NULL OR told_state <> state OR told_description <> description);
CREATE INDEX wanted_recheck ON wanted (recheck_at) WHERE recheck_at IS NOT NULL;

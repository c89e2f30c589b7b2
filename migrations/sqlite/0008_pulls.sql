-- The pull request that ends the drift of a gate at a branch of its consumer: what was last known of it. What holds is read
-- from the forge each time; a row that is lost comes back with the next hint.
CREATE TABLE pulls (
    slot         TEXT    NOT NULL, -- the gate's id, or the name of the group that shares a pull request
    branch       TEXT    NOT NULL, -- of the consumer
    forge        TEXT    NOT NULL, -- of the consumer
    repository   TEXT    NOT NULL, -- the consumer, as configured
    hinted       INTEGER NOT NULL DEFAULT 0,
    settled      INTEGER NOT NULL DEFAULT 0,
    forced       INTEGER NOT NULL DEFAULT 0, -- the hint by which a person asked for it now
    look_at      INTEGER,          -- again then, without a hint
    since        INTEGER,          -- when the drift that holds now was first seen
    state        TEXT    NOT NULL DEFAULT '',
    words        TEXT    NOT NULL DEFAULT '',
    source       TEXT,             -- the commit that it adopts
    written      TEXT,             -- the repository that it is in
    head         TEXT,             -- its branch
    tip          TEXT,             -- the last commit of ours on that branch
    pull         INTEGER,          -- its number
    dressed      INTEGER NOT NULL DEFAULT 0, -- labels, reviewers and assignees are on it
    closed_by    TEXT,             -- who closed it, where that was not us
    changed_at   INTEGER NOT NULL DEFAULT 0,
    attempts     INTEGER NOT NULL DEFAULT 0,
    not_before   INTEGER NOT NULL DEFAULT 0,
    trouble      TEXT,
    lease        INTEGER NOT NULL DEFAULT 0,
    leased_by    TEXT,
    leased_until INTEGER,
    taken_over   INTEGER NOT NULL DEFAULT 0, -- the holder before did not give it back
    PRIMARY KEY (slot, branch)
);
CREATE INDEX pulls_due ON pulls (forge, not_before) WHERE hinted > settled;
CREATE INDEX pulls_look ON pulls (forge, look_at) WHERE look_at IS NOT NULL;

-- Statuses of ours that somebody else wrote over, as found when they were read back. Rows older than an hour say nothing.
CREATE TABLE overwritten (
    wanted TEXT    NOT NULL,
    login  TEXT    NOT NULL, -- whose
    at     INTEGER NOT NULL
);
CREATE INDEX overwritten_by_wanted ON overwritten (wanted, at);

-- A status is not put back before this moment: somebody else writes over it again and again.
ALTER TABLE wanted ADD COLUMN parked_until INTEGER;

-- What an operator should hear of.
CREATE TABLE alarms (
    at         INTEGER NOT NULL,
    forge      TEXT    NOT NULL,
    repository TEXT    NOT NULL, -- as configured
    words      TEXT    NOT NULL
);
CREATE INDEX alarms_by_time ON alarms (at);

-- What was last seen of each repository, as the controller's JSON. `version` counts up over all of them: who knows
-- everything up to one asks for what is newer.
CREATE TABLE sights (
    forge   TEXT    NOT NULL,
    name    TEXT    NOT NULL, -- as configured
    version INTEGER NOT NULL,
    sight   TEXT    NOT NULL,
    PRIMARY KEY (forge, name)
);
CREATE INDEX sights_by_version ON sights (version);
CREATE TABLE sight_version (version INTEGER NOT NULL);
INSERT INTO sight_version (version) VALUES (0);

-- The most that a hint since the last settling asks for: 0 judge what is known, 1 read the repository, 2 read the other
-- sides of its gates as well.
ALTER TABLE repositories ADD COLUMN level INTEGER NOT NULL DEFAULT 2;

-- What these said is in the sights.
ALTER TABLE repositories DROP COLUMN forge_id;
ALTER TABLE repositories DROP COLUMN current;
ALTER TABLE repositories DROP COLUMN private;
ALTER TABLE repositories DROP COLUMN unreadable_since;
ALTER TABLE repositories DROP COLUMN trouble;

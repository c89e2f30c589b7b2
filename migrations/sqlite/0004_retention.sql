-- What makes room again. Deliveries are numbered as they arrive, so their numbers are in order of time: an index by time
-- would only make each of them dearer.
DROP INDEX deliveries_by_time;

-- Since when a status is of no head any more.
ALTER TABLE wanted ADD COLUMN left_at INTEGER;
UPDATE wanted SET left_at = decided_at WHERE head = 0;
CREATE INDEX wanted_left ON wanted (left_at) WHERE head = 0;
CREATE INDEX comments_acted ON comments (acted_at) WHERE acted_at IS NOT NULL;

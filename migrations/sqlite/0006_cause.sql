-- The newest delivery that hints at a repository and is not settled: the log names it beside what was decided.
ALTER TABLE repositories ADD COLUMN delivery TEXT;

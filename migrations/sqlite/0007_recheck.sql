-- What is to be read back is looked for by forge: without it in the index, each question reads every head of the forge.
DROP INDEX wanted_recheck;
CREATE INDEX wanted_recheck ON wanted (forge, recheck_at) WHERE recheck_at IS NOT NULL AND head = 1;

-- Secrets are sealed for each poll, so that a seal is of no use in another poll; specs, which polls share, have numbers
-- instead.

-- The sealed secrets of polls, by their numbers.
CREATE TABLE seals (
    poll   INTEGER PRIMARY KEY,
    sealed TEXT NOT NULL
) STRICT;

-- 1 while specs have secrets that an earlier format has sealed in them, for any poll. Whoever opens the file with their key
-- seals them anew.
ALTER TABLE runs ADD COLUMN unbound INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET unbound = EXISTS (SELECT 1 FROM specs WHERE instr(text, '"$sealed":"v1.'));

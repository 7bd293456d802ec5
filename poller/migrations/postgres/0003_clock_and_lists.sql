-- Format 3: the fleet's time, and lists by index.

-- The time of the fleet is the database's clock plus `shift`, so that it runs on evenly when that clock is set. A worker that
-- notices a step takes it out here, and counts it.
CREATE TABLE poll.clock (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- Microseconds.
    shift bigint NOT NULL DEFAULT 0,
    steps bigint NOT NULL DEFAULT 0,
    -- The latest time at which a worker has ended: those that run note theirs in `worker.renewed`.
    latest bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO poll.clock DEFAULT VALUES;

-- Lists begin with the newest poll, and read no more rows than they show.
CREATE INDEX open_created ON poll.open (created, scope, key);
CREATE INDEX done_created ON poll.done (created, scope, key);

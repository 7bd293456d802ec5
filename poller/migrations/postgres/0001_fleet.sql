-- Format 1. docs/fleet.md describes the tables. Times are microseconds since 1970-01-01T00:00:00Z, except the leases,
-- which only the database's clock writes and compares.

-- What all polls of one kind share: a spec without its URL. Texts never change. A URL that does not fit into an index row
-- stands in a row of its own here.
CREATE TABLE poll.specs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    text text NOT NULL,
    url text,
    -- The last day, since 1970-01-01, on which a process made sure that the row is there. Rows that no poll refers to are
    -- removed some days later.
    used bigint NOT NULL
);

-- Open polls. All columns are in the index, so that loading a shard reads no heap.
CREATE TABLE poll.open (
    shard integer NOT NULL,
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    incarnation bigint NOT NULL,
    created bigint NOT NULL,
    deadline bigint NOT NULL,
    -- How long after `created` its first request is due.
    first_after bigint NOT NULL,
    run integer NOT NULL,
    spec bigint NOT NULL,
    url text,
    PRIMARY KEY (shard, scope, key) INCLUDE (incarnation, created, deadline, first_after, run, spec, url)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);

-- Finished polls, one partition for each day of `ended`. Partitions are dropped whole; a row that ended before
-- meta.horizon counts as removed until then.
CREATE TABLE poll.done (
    shard integer NOT NULL,
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    incarnation bigint NOT NULL,
    created bigint NOT NULL,
    ended bigint NOT NULL,
    restarts integer NOT NULL,
    requests integer NOT NULL,
    spec bigint NOT NULL,
    url text,
    ending text NOT NULL,
    outcome text NOT NULL
) PARTITION BY RANGE (ended);
CREATE INDEX done_key ON poll.done (shard, scope, key);

-- What the owner of a shard is told by others: 'created' and 'cancel'.
CREATE TABLE poll.inbox (
    shard integer NOT NULL,
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    incarnation bigint NOT NULL,
    what text NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX inbox_key ON poll.inbox (shard, scope, key);

-- The URL that an open poll asks instead of its own.
CREATE TABLE poll.followed (
    shard integer NOT NULL,
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    incarnation bigint NOT NULL,
    url text NOT NULL,
    PRIMARY KEY (shard, scope, key)
);

-- The last attempts of open polls, for `poll show`.
CREATE TABLE poll.attempts (
    shard integer NOT NULL,
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    incarnation bigint NOT NULL,
    history text NOT NULL,
    PRIMARY KEY (shard, scope, key)
) WITH (fillfactor = 50);

-- The processes that run polls. No index on what a renewal changes, and room on the page, so that it stays on its page.
CREATE TABLE poll.worker (
    id bigint PRIMARY KEY,
    epoch bigint NOT NULL,
    expires timestamptz NOT NULL,
    started timestamptz NOT NULL DEFAULT now(),
    renewed timestamptz NOT NULL DEFAULT now(),
    host text NOT NULL,
    process integer NOT NULL,
    runs_until text NOT NULL,
    shards integer NOT NULL DEFAULT 0,
    open bigint NOT NULL DEFAULT 0,
    takeovers bigint NOT NULL DEFAULT 0,
    clock_offset bigint NOT NULL DEFAULT 0,
    -- How long its oldest due poll has been waiting for its request, in microseconds.
    lag bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);

CREATE TABLE poll.shard (
    id integer PRIMARY KEY,
    worker bigint,
    -- How often a worker has taken the shard: what is above a poll's own `run` are its restarts.
    run integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
INSERT INTO poll.shard (id) SELECT id FROM poll.meta, generate_series(0, shards - 1) AS id;

-- For the isolation probe.
CREATE TABLE poll.probe (id bigint NOT NULL);

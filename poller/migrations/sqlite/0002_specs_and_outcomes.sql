-- Specs, which many polls share, and outcomes, which are large, get tables of their own. A row of `polls` is then about a
-- hundred bytes, and a million open polls are read in a second.

-- What polls ask for, but for their URLs.
CREATE TABLE specs (
    -- Never used twice, so that what was read of one holds.
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    text  TEXT    NOT NULL UNIQUE,
    -- How many polls have it; with the last of them it goes, and with it the secrets that are sealed in it.
    polls INTEGER NOT NULL
) STRICT;

-- How polls ended, by their numbers.
CREATE TABLE outcomes (
    poll    INTEGER PRIMARY KEY,
    outcome TEXT NOT NULL
) STRICT;

-- The attempts of open polls, by their numbers: written now and then, as far as that has come.
CREATE TABLE attempts (
    poll    INTEGER PRIMARY KEY,
    history TEXT NOT NULL
) STRICT;

-- How often somebody began to run the file; one row.
CREATE TABLE runs (begun INTEGER NOT NULL) STRICT;
INSERT INTO runs VALUES (0);

ALTER TABLE polls RENAME TO polls_1;
DROP INDEX open_polls;
DROP INDEX cancelling_polls;
DROP INDEX finished_polls;

-- Times are UTC in microseconds since 1970.
CREATE TABLE polls (
    -- Never used twice, so that a runner finds what is new by it.
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    scope      TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    url        TEXT    NOT NULL,
    spec       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- The first run in which it was run: that of its creation, or the next where nobody ran the file then. It has been
    -- restarted by each run after that.
    run        INTEGER NOT NULL,
    -- Restarts besides: those of format 1 while it is open, all of them once it has ended.
    restarts   INTEGER NOT NULL DEFAULT 0,
    -- Another process wants it cancelled; the one that runs it does so.
    cancelling INTEGER NOT NULL DEFAULT 0,
    ended_at   INTEGER,
    -- The name of its outcome.
    ending     TEXT,
    -- Requests made; known once it has ended.
    requests   INTEGER,
    UNIQUE (scope, key),
    CHECK ((ended_at IS NULL) = (ending IS NULL))
) STRICT;

-- A spec that cannot be read stays whole, and without a URL.
CREATE TEMP TABLE split AS
    SELECT id,
           iif(json_valid(spec), json_remove(spec, '$.url'), spec) AS text,
           iif(json_valid(spec), coalesce(json_extract(spec, '$.url'), ''), '') AS url
    FROM polls_1;
INSERT INTO specs (text, polls) SELECT text, count(*) FROM split GROUP BY text ORDER BY min(id);
INSERT INTO polls (id, scope, key, url, spec, created_at, run, restarts, cancelling, ended_at, ending, requests)
    SELECT polls_1.id, scope, key, split.url, specs.id, created_at, 0, restarts,
           cancelling AND outcome IS NULL,
           ended_at,
           iif(json_valid(outcome), json_extract(outcome, '$.outcome'), iif(outcome IS NULL, NULL, 'failed')),
           iif(json_valid(outcome), json_extract(outcome, '$.attempts'), NULL)
    FROM polls_1 JOIN split USING (id) JOIN specs USING (text)
    ORDER BY polls_1.id;
INSERT INTO outcomes SELECT id, outcome FROM polls_1 WHERE outcome IS NOT NULL ORDER BY id;
UPDATE sqlite_sequence SET seq = coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'polls_1'), 0) WHERE name = 'polls';
DROP TABLE temp.split;
DROP TABLE polls_1;

CREATE INDEX open_polls ON polls (id) WHERE ended_at IS NULL;
CREATE INDEX cancelling_polls ON polls (id) WHERE cancelling;
CREATE INDEX finished_polls ON polls (ended_at) WHERE ended_at IS NOT NULL;

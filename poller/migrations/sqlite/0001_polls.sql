-- A poll is its creation and its outcome; times are UTC in microseconds since 1970.
CREATE TABLE polls (
    -- Never used twice, so that a runner finds what is new by it.
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    scope      TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    spec       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    restarts   INTEGER NOT NULL DEFAULT 0,
    -- Another process wants it cancelled; the one that runs it does so.
    cancelling INTEGER NOT NULL DEFAULT 0,
    ended_at   INTEGER,
    outcome    TEXT,
    UNIQUE (scope, key),
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT;

CREATE INDEX open_polls ON polls (id) WHERE outcome IS NULL;
CREATE INDEX cancelling_polls ON polls (id) WHERE cancelling AND outcome IS NULL;
CREATE INDEX finished_polls ON polls (ended_at) WHERE outcome IS NOT NULL;

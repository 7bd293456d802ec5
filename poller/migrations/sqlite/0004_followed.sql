-- Polls that follow a link ask another URL than that of their spec. Few do, so these have a table of their own.

-- The URLs that open polls ask, by their numbers.
CREATE TABLE followed (
    poll INTEGER PRIMARY KEY,
    url  TEXT NOT NULL
) STRICT;

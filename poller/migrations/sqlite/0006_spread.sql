-- Polls that were submitted together may be spread over their interval.

-- How long after created_at the first request is due, and the grid begins, in microseconds.
ALTER TABLE polls ADD COLUMN first_after INTEGER NOT NULL DEFAULT 0;

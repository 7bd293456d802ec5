-- What the file says about its runner and its log, so that a file without its log is recognised.

-- 1 while a process runs the file: changes are then in the log, and the file is incomplete without it.
ALTER TABLE runs ADD COLUMN needs_log INTEGER NOT NULL DEFAULT 0;
-- The identity of the lock file that the last runner locked (device and inode). If the next runner locks another file,
-- the old one was removed, and its runner may be alive.
ALTER TABLE runs ADD COLUMN lock TEXT;

-- Webhooks: a poll whose spec names a receiver sends it the outcome.

-- The origin of the receiver; null if the spec has none. Specs of earlier formats have none.
ALTER TABLE specs ADD COLUMN webhook TEXT;

-- One row for each outcome with a webhook, written in the transaction of the outcome.
CREATE TABLE outbox (
    poll     INTEGER PRIMARY KEY,
    receiver TEXT NOT NULL,
    -- pending, delivered, dead
    state    TEXT NOT NULL,
    -- When the next attempt is due; null unless pending.
    due      INTEGER,
    -- The attempts of this round; sending it again begins a round.
    tries    INTEGER NOT NULL DEFAULT 0,
    -- The last attempts, a JSON array.
    attempts TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE INDEX outbox_due ON outbox (due) WHERE due IS NOT NULL;
CREATE INDEX outbox_state ON outbox (state, poll);

-- The key of the tokens of callbacks: random, made when the first is needed.
ALTER TABLE runs ADD COLUMN callback_key BLOB;

-- Format 2: webhooks.

-- The origin of the receiver of the outcome; null if the spec has none.
ALTER TABLE poll.specs ADD COLUMN webhook text;

-- One row for each outcome with a webhook, written in the transaction of the outcome.
CREATE TABLE poll.outbox (
    place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard integer NOT NULL,
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    incarnation bigint NOT NULL,
    created bigint NOT NULL,
    ended bigint NOT NULL,
    receiver text NOT NULL,
    -- pending, delivered, dead
    state text NOT NULL,
    -- When the next attempt is due; null unless pending.
    due bigint,
    tries integer NOT NULL DEFAULT 0,
    attempts text NOT NULL DEFAULT '[]'
);
CREATE INDEX outbox_due ON poll.outbox (due) WHERE due IS NOT NULL;
CREATE INDEX outbox_key ON poll.outbox (shard, scope, key);
CREATE INDEX outbox_state ON poll.outbox (state, place);

-- The key of the tokens of callbacks: random, made when the first is needed.
ALTER TABLE poll.meta ADD COLUMN callback_key bytea;

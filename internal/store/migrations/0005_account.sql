-- +goose Up
-- What deleting an item alone would free, counted in the background (D9).
ALTER TABLE trash_items ADD COLUMN freeable_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE trash_items ADD COLUMN shared_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE trash_items ADD COLUMN counted_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE trash_items ADD COLUMN counted_epoch BIGINT NOT NULL DEFAULT 0;
CREATE INDEX trash_items_uncounted ON trash_items (deleted_at) WHERE counted_at = 0;
CREATE INDEX trash_items_sharing ON trash_items (counted_epoch) WHERE shared_bytes > 0;

-- Grows when a purge kept bytes for others: what was counted before may be freer now.
CREATE TABLE account_epoch (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  epoch BIGINT NOT NULL
);
INSERT INTO account_epoch (one, epoch) VALUES (1, 1);

-- The storage of a workspace as it was counted last; JSON, written and read by us alone.
CREATE TABLE storage_counts (
  workspace_id TEXT PRIMARY KEY REFERENCES workspaces (id),
  counted_at BIGINT NOT NULL,
  body TEXT NOT NULL
);

-- One operation that brings back everything a filter chose, and what became of it.
CREATE TABLE rescues (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  actor TEXT NOT NULL,
  actor_name TEXT NOT NULL,
  filter TEXT NOT NULL,
  rename BOOLEAN NOT NULL,
  state TEXT NOT NULL,
  items BIGINT NOT NULL,
  began_at BIGINT NOT NULL,
  beat_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX rescues_workspace ON rescues (workspace_id, began_at);
CREATE INDEX rescues_running ON rescues (beat_at) WHERE ended_at = 0;

CREATE TABLE rescue_items (
  rescue_id TEXT NOT NULL REFERENCES rescues (id),
  position BIGINT NOT NULL,
  item_id TEXT NOT NULL,
  type TEXT NOT NULL,
  name TEXT NOT NULL,
  added BOOLEAN NOT NULL,
  result TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  slug TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (rescue_id, position)
);

-- The audit is filtered by who and by what.
CREATE INDEX audit_act ON audit (workspace_id, act, seq);

-- +goose Down
DROP TABLE rescue_items;
DROP TABLE rescues;
DROP TABLE storage_counts;
DROP TABLE account_epoch;
SELECT 1;

-- +goose Up
-- Holds (C8): an item with held_at set is purged by nobody until it is released.
ALTER TABLE trash_items ADD COLUMN held_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE trash_items ADD COLUMN held_by TEXT NOT NULL DEFAULT '';
ALTER TABLE trash_items ADD COLUMN hold_reason TEXT NOT NULL DEFAULT '';

CREATE INDEX trash_items_held_project ON trash_items (project_id) WHERE held_at > 0;
CREATE INDEX trash_items_held_version ON trash_items (version_id) WHERE held_at > 0 AND version_id > '';

-- Purge protection (C9): on while protected_at is set and the lifting, where one was
-- asked for, has not come yet.
ALTER TABLE workspaces ADD COLUMN protected_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE workspaces ADD COLUMN unprotect_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE workspaces ADD COLUMN unprotect_by TEXT NOT NULL DEFAULT '';
ALTER TABLE workspaces ADD COLUMN protection_wait_us BIGINT NOT NULL DEFAULT 0;

-- The wait of the clock watch that the workspace's people have lifted (C6).
ALTER TABLE workspaces ADD COLUMN lifted_wait TEXT NOT NULL DEFAULT '';

-- What cleanup last saw of the clock, and why it waits (C6). One row.
CREATE TABLE clock_watch (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  seen_at BIGINT NOT NULL DEFAULT 0,
  wait_id TEXT NOT NULL DEFAULT '',
  wait_why TEXT NOT NULL DEFAULT '',
  wait_began BIGINT NOT NULL DEFAULT 0,
  wait_until BIGINT NOT NULL DEFAULT 0,
  trusted_at BIGINT NOT NULL DEFAULT 0
);
-- The last sign of life of a server from before there was a watch.
INSERT INTO clock_watch (one, seen_at) SELECT 1, COALESCE(MAX(at), 0) FROM audit;

-- +goose Down
DROP TABLE clock_watch;
SELECT 1;

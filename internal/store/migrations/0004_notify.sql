-- +goose Up
-- Warnings to people (C10): webhooks with what is on its way to them, warnings that
-- were given, mails, and banners that somebody put away.

ALTER TABLE workspaces ADD COLUMN warn_days TEXT NOT NULL DEFAULT '[7,1]';
ALTER TABLE workspaces ADD COLUMN email_warnings BOOLEAN NOT NULL DEFAULT TRUE;

-- The date for which an item was last warned of, and the nearest step, in days,
-- that was told: of an item whose date changed nothing was told.
ALTER TABLE trash_items ADD COLUMN warned_for BIGINT NOT NULL DEFAULT 0;
ALTER TABLE trash_items ADD COLUMN warned_step BIGINT NOT NULL DEFAULT 0;
CREATE INDEX trash_items_unwarned ON trash_items (workspace_id, effective_at) WHERE warned_for <> effective_at;
CREATE INDEX trash_items_warned ON trash_items (workspace_id, warned_step, effective_at);

-- seq is the number of the last delivery. It is locked after everything else.
CREATE TABLE webhooks (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  url TEXT NOT NULL,
  secret TEXT NOT NULL,
  choices TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_by_name TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  disabled_at BIGINT NOT NULL DEFAULT 0,
  removed_at BIGINT NOT NULL DEFAULT 0,
  seq BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX webhooks_workspace ON webhooks (workspace_id);

-- One row a notice and webhook. about is the thing, whose notices keep their order.
CREATE TABLE deliveries (
  id TEXT PRIMARY KEY,
  webhook_id TEXT NOT NULL REFERENCES webhooks (id),
  workspace_id TEXT NOT NULL,
  seq BIGINT NOT NULL,
  about TEXT NOT NULL,
  notice TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  state TEXT NOT NULL,
  tries BIGINT NOT NULL DEFAULT 0,
  first_at BIGINT NOT NULL DEFAULT 0,
  next_at BIGINT NOT NULL DEFAULT 0,
  lease_owner TEXT NOT NULL DEFAULT '',
  lease_until BIGINT NOT NULL DEFAULT 0,
  done_at BIGINT NOT NULL DEFAULT 0,
  status BIGINT NOT NULL DEFAULT 0,
  took_us BIGINT NOT NULL DEFAULT 0,
  answer TEXT NOT NULL DEFAULT '',
  problem TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX deliveries_order ON deliveries (webhook_id, seq);
CREATE INDEX deliveries_next ON deliveries (webhook_id, state, next_at);
CREATE INDEX deliveries_about ON deliveries (webhook_id, about, state, seq);
CREATE INDEX deliveries_list ON deliveries (workspace_id, created_at, id);
CREATE INDEX deliveries_age ON deliveries (created_at);

-- What a look has found in a workspace so far: one mail tells of it all.
CREATE TABLE digests (
  workspace_id TEXT PRIMARY KEY REFERENCES workspaces (id),
  items BIGINT NOT NULL,
  first_due BIGINT NOT NULL,
  named TEXT NOT NULL
);

CREATE TABLE mails (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  address TEXT NOT NULL,
  digest TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  state TEXT NOT NULL,
  tries BIGINT NOT NULL DEFAULT 0,
  next_at BIGINT NOT NULL DEFAULT 0,
  lease_owner TEXT NOT NULL DEFAULT '',
  lease_until BIGINT NOT NULL DEFAULT 0,
  problem TEXT NOT NULL DEFAULT ''
);
CREATE INDEX mails_next ON mails (state, next_at);
CREATE INDEX mails_age ON mails (created_at);

-- What somebody put away: everything due up to a date, as it was at that moment.
CREATE TABLE banners_put_away (
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  person_id TEXT NOT NULL,
  at BIGINT NOT NULL,
  up_to BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, person_id)
);

-- +goose Down
DROP TABLE banners_put_away;
DROP TABLE mails;
DROP TABLE digests;
DROP TABLE deliveries;
DROP TABLE webhooks;
DROP INDEX trash_items_warned;
DROP INDEX trash_items_unwarned;
ALTER TABLE trash_items DROP COLUMN warned_step;
ALTER TABLE trash_items DROP COLUMN warned_for;
ALTER TABLE workspaces DROP COLUMN email_warnings;
ALTER TABLE workspaces DROP COLUMN warn_days;

-- +goose Up
-- One schema for SQLite and PostgreSQL. Times are microseconds since 1970, UTC,
-- 0 where there is none; ids are text; JSON is text, written and read by us alone.

-- What the server itself keeps secret, such as the key that signs links.
CREATE TABLE secrets (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE workspaces (
  id TEXT PRIMARY KEY,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  retention_us BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL
);

CREATE TABLE people (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  password_hash TEXT NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE members (
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  person_id TEXT NOT NULL REFERENCES people (id),
  role TEXT NOT NULL,
  joined_at BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, person_id)
);

CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  name TEXT NOT NULL,
  prefix TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  full_access BOOLEAN NOT NULL,
  scopes TEXT NOT NULL,
  made_by TEXT NOT NULL REFERENCES people (id),
  is_default BOOLEAN NOT NULL,
  protected BOOLEAN NOT NULL,
  disabled BOOLEAN NOT NULL,
  metadata TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  last_used_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX api_keys_workspace ON api_keys (workspace_id);

-- Sessions of browsers; the token itself is never kept.
CREATE TABLE sessions (
  token_hash TEXT PRIMARY KEY,
  data TEXT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE sign_in_failures (
  who TEXT NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX sign_in_failures_who ON sign_in_failures (who, at);

-- What a form already did, so that a repeated POST acts once.
CREATE TABLE form_posts (
  session_hash TEXT NOT NULL,
  idempotency TEXT NOT NULL,
  location TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (session_hash, idempotency)
);

CREATE TABLE audit_heads (
  workspace_id TEXT PRIMARY KEY REFERENCES workspaces (id),
  seq BIGINT NOT NULL,
  hash TEXT NOT NULL
);

CREATE TABLE audit (
  workspace_id TEXT NOT NULL,
  seq BIGINT NOT NULL,
  at BIGINT NOT NULL,
  actor_id TEXT NOT NULL,
  actor_name TEXT NOT NULL,
  means TEXT NOT NULL,
  address TEXT NOT NULL,
  request TEXT NOT NULL,
  act TEXT NOT NULL,
  item_type TEXT NOT NULL,
  item_id TEXT NOT NULL,
  item_name TEXT NOT NULL,
  result TEXT NOT NULL,
  detail TEXT NOT NULL,
  prev TEXT NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (workspace_id, seq)
);
CREATE INDEX audit_item ON audit (workspace_id, item_id, seq);

-- One row an act of deletion. It points at its root by target_id; the root
-- points back, and that pointer alone is what hides it.
CREATE TABLE trash_items (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  type TEXT NOT NULL,
  target_id TEXT NOT NULL,
  number BIGINT NOT NULL DEFAULT 0,
  name TEXT NOT NULL,
  slug TEXT NOT NULL DEFAULT '',
  project_id TEXT NOT NULL DEFAULT '',
  version_id TEXT NOT NULL DEFAULT '',
  deleted_at BIGINT NOT NULL,
  deleted_by TEXT NOT NULL,
  deleted_by_name TEXT NOT NULL,
  deleted_means TEXT NOT NULL,
  cleanup_at BIGINT NOT NULL,
  effective_at BIGINT NOT NULL,
  state TEXT NOT NULL,
  revision BIGINT NOT NULL DEFAULT 1,
  contents TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  purge_order TEXT NOT NULL DEFAULT '',
  purged_with TEXT NOT NULL DEFAULT '',
  lease_owner TEXT NOT NULL DEFAULT '',
  lease_until BIGINT NOT NULL DEFAULT 0,
  retry_at BIGINT NOT NULL DEFAULT 0,
  problem TEXT NOT NULL DEFAULT '',
  done_rows BIGINT NOT NULL DEFAULT 0,
  done_bytes BIGINT NOT NULL DEFAULT 0,
  kept_bytes BIGINT NOT NULL DEFAULT 0,
  done_files BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX trash_items_list ON trash_items (workspace_id, type, deleted_at, id);
CREATE INDEX trash_items_newest ON trash_items (workspace_id, deleted_at, id);
CREATE INDEX trash_items_due ON trash_items (workspace_id, effective_at, id);
CREATE INDEX trash_items_size ON trash_items (workspace_id, bytes, id);
CREATE INDEX trash_items_name ON trash_items (workspace_id, name, id);
CREATE INDEX trash_items_state ON trash_items (state, effective_at);
CREATE INDEX trash_items_project ON trash_items (project_id, state);
CREATE INDEX trash_items_target ON trash_items (target_id);
CREATE INDEX trash_items_with ON trash_items (purged_with);

-- Numbers that the Trash page and its badge show without counting.
CREATE TABLE trash_counts (
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  type TEXT NOT NULL,
  items BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, type)
);

CREATE TABLE folders (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  name TEXT NOT NULL,
  parent_id TEXT REFERENCES folders (id),
  created_at BIGINT NOT NULL
);
CREATE INDEX folders_workspace ON folders (workspace_id);
CREATE INDEX folders_parent ON folders (parent_id);

-- folder_id has no foreign key: a project in Trash remembers a folder that may
-- be gone when it comes back (R4).
CREATE TABLE projects (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  slug TEXT NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  multilabel BOOLEAN NOT NULL,
  license TEXT NOT NULL,
  annotation_group TEXT NOT NULL,
  folder_id TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  trash_item_id TEXT REFERENCES trash_items (id)
);
CREATE UNIQUE INDEX projects_slug ON projects (workspace_id, slug) WHERE trash_item_id IS NULL;
CREATE INDEX projects_workspace ON projects (workspace_id, id);
CREATE INDEX projects_trash ON projects (trash_item_id);
CREATE INDEX projects_folder ON projects (folder_id);

-- A row of its own: whoever writes below a project shares the project's row, and two
-- that share it could never both write it.
CREATE TABLE project_counts (
  project_id TEXT PRIMARY KEY REFERENCES projects (id),
  images BIGINT NOT NULL DEFAULT 0,
  unannotated BIGINT NOT NULL DEFAULT 0,
  annotations BIGINT NOT NULL DEFAULT 0,
  train BIGINT NOT NULL DEFAULT 0,
  valid BIGINT NOT NULL DEFAULT 0,
  test BIGINT NOT NULL DEFAULT 0,
  versions BIGINT NOT NULL DEFAULT 0,
  bytes BIGINT NOT NULL DEFAULT 0,
  next_version BIGINT NOT NULL DEFAULT 1,
  seq BIGINT NOT NULL DEFAULT 0,
  updated_at BIGINT NOT NULL
);

CREATE TABLE classes (
  project_id TEXT NOT NULL REFERENCES projects (id),
  name TEXT NOT NULL,
  color TEXT NOT NULL,
  position BIGINT NOT NULL,
  count BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (project_id, name)
);

-- One row a file; its path is never used again.
CREATE TABLE blobs (
  id TEXT PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,
  bytes BIGINT NOT NULL,
  path TEXT NOT NULL UNIQUE,
  created_at BIGINT NOT NULL
);

-- Blobs that a purge may have set free, for the collector to look at (C4).
CREATE TABLE blob_candidates (
  blob_id TEXT NOT NULL,
  item_id TEXT NOT NULL,
  PRIMARY KEY (item_id, blob_id)
);

-- Files whose row is gone already and which are still to be unlinked.
CREATE TABLE blob_unlinks (
  path TEXT PRIMARY KEY,
  bytes BIGINT NOT NULL,
  item_id TEXT NOT NULL,
  retry_at BIGINT NOT NULL DEFAULT 0,
  problem TEXT NOT NULL DEFAULT ''
);
CREATE INDEX blob_unlinks_item ON blob_unlinks (item_id);
CREATE INDEX blob_unlinks_retry ON blob_unlinks (retry_at);

CREATE TABLE batches (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id),
  name TEXT NOT NULL,
  images BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  UNIQUE (project_id, name)
);

-- Append-only (D11). image_id has no foreign key: a version's frozen copy needs
-- the revision when the image itself is gone.
CREATE TABLE annotations (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id),
  image_id TEXT NOT NULL,
  number BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  shapes TEXT NOT NULL,
  job TEXT NOT NULL,
  prediction BOOLEAN NOT NULL,
  author TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE (image_id, number)
);
CREATE INDEX annotations_project ON annotations (project_id);
CREATE INDEX annotations_seq ON annotations (image_id, seq);

CREATE TABLE images (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  project_id TEXT NOT NULL REFERENCES projects (id),
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  blob_id TEXT NOT NULL REFERENCES blobs (id),
  thumb_id TEXT NOT NULL REFERENCES blobs (id),
  format TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  width BIGINT NOT NULL,
  height BIGINT NOT NULL,
  split TEXT NOT NULL,
  batch_id TEXT NOT NULL REFERENCES batches (id),
  tags TEXT NOT NULL,
  metadata TEXT NOT NULL,
  revision_id TEXT REFERENCES annotations (id),
  annotations BIGINT NOT NULL DEFAULT 0,
  seq BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  trash_item_id TEXT REFERENCES trash_items (id)
);
CREATE UNIQUE INDEX images_digest ON images (project_id, digest) WHERE trash_item_id IS NULL;
CREATE INDEX images_seq ON images (project_id, seq);
CREATE INDEX images_name ON images (project_id, name);
CREATE INDEX images_blob ON images (blob_id);
CREATE INDEX images_thumb ON images (thumb_id);
CREATE INDEX images_revision ON images (revision_id);
CREATE INDEX images_batch ON images (batch_id);
CREATE INDEX images_trash ON images (trash_item_id);

CREATE TABLE versions (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  project_id TEXT NOT NULL REFERENCES projects (id),
  number BIGINT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  preprocessing TEXT NOT NULL,
  augmentation TEXT NOT NULL,
  frozen_seq BIGINT NOT NULL,
  images BIGINT NOT NULL DEFAULT 0,
  expected BIGINT NOT NULL,
  train BIGINT NOT NULL DEFAULT 0,
  valid BIGINT NOT NULL DEFAULT 0,
  test BIGINT NOT NULL DEFAULT 0,
  bytes BIGINT NOT NULL DEFAULT 0,
  at_seq BIGINT NOT NULL DEFAULT 0,
  beat_at BIGINT NOT NULL DEFAULT 0,
  problem TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  trash_item_id TEXT REFERENCES trash_items (id),
  UNIQUE (project_id, number)
);
CREATE INDEX versions_state ON versions (state, beat_at);
CREATE INDEX versions_trash ON versions (trash_item_id);

CREATE TABLE version_images (
  version_id TEXT NOT NULL REFERENCES versions (id),
  seq BIGINT NOT NULL,
  image_id TEXT NOT NULL,
  name TEXT NOT NULL,
  blob_id TEXT NOT NULL REFERENCES blobs (id),
  format TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  width BIGINT NOT NULL,
  height BIGINT NOT NULL,
  split TEXT NOT NULL,
  revision_id TEXT REFERENCES annotations (id),
  image_created_at BIGINT NOT NULL,
  PRIMARY KEY (version_id, seq)
);
CREATE INDEX version_images_blob ON version_images (blob_id);
CREATE INDEX version_images_revision ON version_images (revision_id);

CREATE TABLE exports (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  version_id TEXT NOT NULL REFERENCES versions (id),
  format TEXT NOT NULL,
  state TEXT NOT NULL,
  images BIGINT NOT NULL DEFAULT 0,
  blob_id TEXT REFERENCES blobs (id),
  bytes BIGINT NOT NULL DEFAULT 0,
  problem TEXT NOT NULL DEFAULT '',
  run TEXT NOT NULL DEFAULT '',
  tries BIGINT NOT NULL DEFAULT 0,
  beat_at BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  UNIQUE (version_id, format)
);
CREATE INDEX exports_state ON exports (state, beat_at);
CREATE INDEX exports_blob ON exports (blob_id);

CREATE TABLE trainings (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  project_id TEXT NOT NULL REFERENCES projects (id),
  version_id TEXT NOT NULL REFERENCES versions (id),
  model_type TEXT NOT NULL,
  trainer TEXT NOT NULL,
  state TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT '',
  recipe TEXT NOT NULL,
  epochs BIGINT NOT NULL DEFAULT 0,
  rate BIGINT NOT NULL,
  worker TEXT NOT NULL DEFAULT '',
  token TEXT NOT NULL DEFAULT '',
  lease_until BIGINT NOT NULL DEFAULT 0,
  attempt BIGINT NOT NULL DEFAULT 0,
  retry BIGINT NOT NULL DEFAULT 0,
  epoch BIGINT NOT NULL DEFAULT 0,
  progress DOUBLE PRECISION NOT NULL DEFAULT 0,
  micro_credits BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  started_at BIGINT NOT NULL DEFAULT 0,
  ended_at BIGINT NOT NULL DEFAULT 0,
  trash_item_id TEXT REFERENCES trash_items (id)
);
CREATE INDEX trainings_version ON trainings (version_id, created_at);
CREATE INDEX trainings_project ON trainings (project_id, state);
CREATE INDEX trainings_state ON trainings (state, created_at);
CREATE INDEX trainings_trash ON trainings (trash_item_id);

CREATE TABLE training_metrics (
  training_id TEXT NOT NULL REFERENCES trainings (id),
  seq BIGINT NOT NULL,
  at BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (training_id, seq)
);

-- The credit ledger outlives what it charged for, so it has no foreign key to it.
CREATE TABLE ledger (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  training_id TEXT NOT NULL,
  opened_at BIGINT NOT NULL,
  renewed_at BIGINT NOT NULL,
  closed_at BIGINT NOT NULL DEFAULT 0,
  rate BIGINT NOT NULL,
  micro_credits BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX ledger_workspace ON ledger (workspace_id, opened_at);
CREATE UNIQUE INDEX ledger_open ON ledger (training_id) WHERE closed_at = 0;

CREATE TABLE models (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  project_id TEXT NOT NULL REFERENCES projects (id),
  version_id TEXT NOT NULL REFERENCES versions (id),
  training_id TEXT NOT NULL REFERENCES trainings (id),
  slug TEXT NOT NULL,
  type TEXT NOT NULL,
  metrics TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE (workspace_id, slug)
);
CREATE INDEX models_training ON models (training_id);
CREATE INDEX models_version ON models (version_id);
CREATE INDEX models_project ON models (project_id);

CREATE TABLE model_files (
  model_id TEXT NOT NULL REFERENCES models (id),
  name TEXT NOT NULL,
  blob_id TEXT NOT NULL REFERENCES blobs (id),
  bytes BIGINT NOT NULL,
  PRIMARY KEY (model_id, name)
);
CREATE INDEX model_files_blob ON model_files (blob_id);

CREATE TABLE workflows (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  slug TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  config TEXT NOT NULL,
  version BIGINT NOT NULL DEFAULT 1,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  trash_item_id TEXT REFERENCES trash_items (id)
);
CREATE UNIQUE INDEX workflows_slug ON workflows (workspace_id, slug) WHERE trash_item_id IS NULL;
CREATE INDEX workflows_trash ON workflows (trash_item_id);

CREATE TABLE workflow_versions (
  workflow_id TEXT NOT NULL REFERENCES workflows (id),
  number BIGINT NOT NULL,
  config TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (workflow_id, number)
);

-- What the confirmation dialog showed, bound to person, session and items (P4).
CREATE TABLE purge_confirmations (
  token_hash TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  person_id TEXT NOT NULL,
  session_hash TEXT NOT NULL,
  typed TEXT NOT NULL,
  password BOOLEAN NOT NULL,
  everything BOOLEAN NOT NULL,
  items TEXT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT NOT NULL DEFAULT 0
);

-- A person's order to delete permanently, and what became of it.
CREATE TABLE purge_orders (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  person_id TEXT NOT NULL,
  person_name TEXT NOT NULL,
  address TEXT NOT NULL,
  state TEXT NOT NULL,
  ordered_at BIGINT NOT NULL,
  starts_at BIGINT NOT NULL,
  began_at BIGINT NOT NULL DEFAULT 0,
  ended_at BIGINT NOT NULL DEFAULT 0,
  stopped_by TEXT NOT NULL DEFAULT ''
);
CREATE INDEX purge_orders_state ON purge_orders (state, starts_at);
CREATE INDEX purge_orders_workspace ON purge_orders (workspace_id, ordered_at);

CREATE TABLE purge_order_items (
  order_id TEXT NOT NULL REFERENCES purge_orders (id),
  position BIGINT NOT NULL,
  item_id TEXT NOT NULL,
  revision BIGINT NOT NULL,
  type TEXT NOT NULL,
  name TEXT NOT NULL,
  result TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  rows_done BIGINT NOT NULL DEFAULT 0,
  rows_total BIGINT NOT NULL DEFAULT 0,
  files_done BIGINT NOT NULL DEFAULT 0,
  bytes_freed BIGINT NOT NULL DEFAULT 0,
  bytes_kept BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (order_id, position)
);
CREATE INDEX purge_order_items_item ON purge_order_items (item_id);

-- What is active: itself not in Trash, and no ancestor either. Every read of
-- live things goes through these (D3).
CREATE VIEW active_projects AS
  SELECT p.* FROM projects p WHERE p.trash_item_id IS NULL;
CREATE VIEW active_images AS
  SELECT i.* FROM images i JOIN projects p ON p.id = i.project_id
  WHERE i.trash_item_id IS NULL AND p.trash_item_id IS NULL;
CREATE VIEW active_annotations AS
  SELECT a.* FROM annotations a JOIN projects p ON p.id = a.project_id
  WHERE p.trash_item_id IS NULL;
CREATE VIEW active_batches AS
  SELECT b.* FROM batches b JOIN projects p ON p.id = b.project_id
  WHERE p.trash_item_id IS NULL;
CREATE VIEW active_classes AS
  SELECT c.* FROM classes c JOIN projects p ON p.id = c.project_id
  WHERE p.trash_item_id IS NULL;
CREATE VIEW active_versions AS
  SELECT v.*, p.slug AS project_slug FROM versions v JOIN projects p ON p.id = v.project_id
  WHERE v.trash_item_id IS NULL AND p.trash_item_id IS NULL;
CREATE VIEW active_version_images AS
  SELECT vi.* FROM version_images vi JOIN versions v ON v.id = vi.version_id JOIN projects p ON p.id = v.project_id
  WHERE v.trash_item_id IS NULL AND p.trash_item_id IS NULL;
CREATE VIEW active_exports AS
  SELECT e.* FROM exports e JOIN versions v ON v.id = e.version_id JOIN projects p ON p.id = v.project_id
  WHERE v.trash_item_id IS NULL AND p.trash_item_id IS NULL;
CREATE VIEW active_trainings AS
  SELECT t.*, p.slug AS project_slug, v.number AS version_number
  FROM trainings t JOIN versions v ON v.id = t.version_id JOIN projects p ON p.id = t.project_id
  WHERE t.trash_item_id IS NULL AND v.trash_item_id IS NULL AND p.trash_item_id IS NULL;
CREATE VIEW active_models AS
  SELECT m.* FROM models m JOIN trainings t ON t.id = m.training_id
  JOIN versions v ON v.id = m.version_id JOIN projects p ON p.id = m.project_id
  WHERE t.trash_item_id IS NULL AND v.trash_item_id IS NULL AND p.trash_item_id IS NULL;
CREATE VIEW active_workflows AS
  SELECT w.* FROM workflows w WHERE w.trash_item_id IS NULL;

-- +goose Down
-- There is no way down from the first migration: it would be the loss of everything.
SELECT 1;

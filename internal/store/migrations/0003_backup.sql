-- +goose Up
-- Backups that are under way. While one lives, no file is unlinked: it may be one
-- that the backup has yet to copy. What was killed lives no longer than its lease.
CREATE TABLE backups (
  id TEXT PRIMARY KEY,
  started_at BIGINT NOT NULL,
  until BIGINT NOT NULL
);

-- +goose Down
DROP TABLE backups;

-- +goose Up
-- Each index of a table through which every purged file passes costs time for each file:
-- files that wait are found by their item, and those of no item are few.
DROP INDEX blob_unlinks_retry;

-- Few images are in Trash by themselves, and many have no annotation.
DROP INDEX images_trash;
DROP INDEX images_revision;
CREATE INDEX images_trash ON images (trash_item_id) WHERE trash_item_id IS NOT NULL;
CREATE INDEX images_revision ON images (revision_id) WHERE revision_id IS NOT NULL;

-- Each order of the Trash page, of one type and of all, has its index: a page costs what
-- it shows, whatever lies in Trash.
CREATE INDEX trash_items_type_due ON trash_items (workspace_id, type, effective_at, id);
CREATE INDEX trash_items_type_size ON trash_items (workspace_id, type, bytes, id);
CREATE INDEX trash_items_type_name ON trash_items (workspace_id, type, name, id);
CREATE INDEX trash_items_type ON trash_items (workspace_id, type, id);
-- What is due soon is counted, up to a thousand, from the index alone.
DROP INDEX trash_items_due;
CREATE INDEX trash_items_due ON trash_items (workspace_id, effective_at, id, held_at, state);

-- +goose Down
DROP INDEX trash_items_due;
CREATE INDEX trash_items_due ON trash_items (workspace_id, effective_at, id);
DROP INDEX trash_items_type;
DROP INDEX trash_items_type_name;
DROP INDEX trash_items_type_size;
DROP INDEX trash_items_type_due;
DROP INDEX images_revision;
DROP INDEX images_trash;
CREATE INDEX images_revision ON images (revision_id);
CREATE INDEX images_trash ON images (trash_item_id);
CREATE INDEX blob_unlinks_retry ON blob_unlinks (retry_at);

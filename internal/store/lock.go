package store

import (
	"context"

	"github.com/cullet-vision/cullet"
)

// Locks. A writer below a project or version shares its active ancestors, root
// first; delete and restore take them for themselves. Each of these looks again
// after it waited, so a thing that went to Trash meanwhile is ErrNoRow. On
// SQLite the writing transaction itself is the lock.

// ShareProject keeps an active project from being moved to Trash until the
// transaction ends, and returns it; or ErrNoRow.
func (tx *Tx) ShareProject(ctx context.Context, id string) (cullet.Project, error) {
	return tx.lockProject(ctx, id, tx.db.conn.Dialect.QueueShare(), forShare(tx))
}

// TakeProject keeps every other writer below the active project out.
func (tx *Tx) TakeProject(ctx context.Context, id string) (cullet.Project, error) {
	return tx.lockProject(ctx, id, tx.db.conn.Dialect.QueueUpdate(), forUpdate(tx))
}

func (tx *Tx) lockProject(ctx context.Context, id, queue, how string) (cullet.Project, error) {
	if queue != "" { // a deletion must not wait for ever behind those who work
		if _, err := tx.exec(ctx, queue, id); err != nil {
			return cullet.Project{}, err
		}
	}
	if _, err := queryOne(ctx, tx, scanText, `SELECT id FROM projects WHERE id = $1 AND trash_item_id IS NULL`+how, id); err != nil {
		return cullet.Project{}, err
	}
	return tx.GetProject(ctx, id)
}

// ShareVersion keeps an active version and its project from being moved to Trash.
func (tx *Tx) ShareVersion(ctx context.Context, project, id string) (cullet.Version, error) {
	return tx.lockVersion(ctx, project, id, forShare(tx))
}

// TakeVersion keeps every other writer below the active version out, and shares
// its project.
func (tx *Tx) TakeVersion(ctx context.Context, project, id string) (cullet.Version, error) {
	return tx.lockVersion(ctx, project, id, forUpdate(tx))
}

func (tx *Tx) lockVersion(ctx context.Context, project, id, how string) (cullet.Version, error) {
	if _, err := tx.ShareProject(ctx, project); err != nil {
		return cullet.Version{}, err
	}
	if _, err := queryOne(ctx, tx, scanText, `SELECT id FROM versions WHERE id = $1 AND project_id = $2 AND trash_item_id IS NULL`+how, id, project); err != nil {
		return cullet.Version{}, err
	}
	return tx.GetVersionByID(ctx, id)
}

// TakeWorkflow keeps every other writer of the active workflow out.
func (tx *Tx) TakeWorkflow(ctx context.Context, id string) (cullet.Workflow, error) {
	if _, err := queryOne(ctx, tx, scanText, `SELECT id FROM workflows WHERE id = $1 AND trash_item_id IS NULL`+forUpdate(tx), id); err != nil {
		return cullet.Workflow{}, err
	}
	return tx.GetWorkflowByID(ctx, id)
}

// TakeTraining keeps every other event off an active training until the
// transaction ends, and returns it as it is now; or ErrNoRow.
func (tx *Tx) TakeTraining(ctx context.Context, id string) (cullet.Training, error) {
	if _, err := queryOne(ctx, tx, scanText, `SELECT id FROM trainings WHERE id = $1 AND trash_item_id IS NULL`+forUpdate(tx), id); err != nil {
		return cullet.Training{}, err
	}
	return tx.GetTraining(ctx, id)
}

// TakeOrder keeps a stop and the engine off each other, and returns a purge order.
func (tx *Tx) TakeOrder(ctx context.Context, workspace, id string) (Order, error) {
	return queryOne(ctx, tx, scanOrder, `SELECT `+orderColumns+` FROM purge_orders WHERE workspace_id = $1 AND id = $2`+forUpdate(tx), workspace, id)
}

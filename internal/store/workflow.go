package store

import (
	"context"

	"github.com/cullet-vision/cullet"
)

const workflowColumns = `id, workspace_id, slug, name, description, config, version, created_at, updated_at`

func scanWorkflow(r row) (w cullet.Workflow, err error) {
	return w, r.Scan(&w.ID, &w.Workspace, &w.Slug, &w.Name, &w.Description, &w.Config, &w.Version, instant{&w.CreatedAt}, instant{&w.UpdatedAt})
}

// AddWorkflow keeps a new workflow. Its slug must be free among active ones.
func (tx *Tx) AddWorkflow(ctx context.Context, w cullet.Workflow) error {
	_, err := tx.exec(ctx, `INSERT INTO workflows (`+workflowColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		w.ID, w.Workspace, w.Slug, w.Name, w.Description, w.Config, w.Version, micros(w.CreatedAt), micros(w.UpdatedAt))
	if err != nil {
		return err
	}
	return tx.addWorkflowVersion(ctx, w)
}

func (tx *Tx) addWorkflowVersion(ctx context.Context, w cullet.Workflow) error {
	_, err := tx.exec(ctx, `INSERT INTO workflow_versions (workflow_id, number, config, created_at) VALUES ($1, $2, $3, $4)`,
		w.ID, w.Version, w.Config, micros(w.UpdatedAt))
	return err
}

// SaveWorkflow keeps a workflow's new name, slug and config as its next version,
// which w.Version already names.
func (tx *Tx) SaveWorkflow(ctx context.Context, w cullet.Workflow) error {
	err := tx.execOne(ctx, `UPDATE workflows SET slug = $2, name = $3, description = $4, config = $5, version = $6, updated_at = $7 WHERE id = $1`,
		w.ID, w.Slug, w.Name, w.Description, w.Config, w.Version, micros(w.UpdatedAt))
	if err != nil {
		return err
	}
	return tx.addWorkflowVersion(ctx, w)
}

// GetWorkflow returns the workspace's active workflow with the slug or id, or ErrNoRow.
func (tx *Tx) GetWorkflow(ctx context.Context, workspace, slugOrID string) (cullet.Workflow, error) {
	return queryOne(ctx, tx, scanWorkflow, `SELECT `+workflowColumns+` FROM active_workflows
		WHERE workspace_id = $1 AND (slug = $2 OR id = $2) ORDER BY CASE WHEN slug = $2 THEN 0 ELSE 1 END LIMIT 1`, workspace, slugOrID)
}

// GetWorkflowByID returns the active workflow with the id, or ErrNoRow.
func (tx *Tx) GetWorkflowByID(ctx context.Context, id string) (cullet.Workflow, error) {
	return queryOne(ctx, tx, scanWorkflow, `SELECT `+workflowColumns+` FROM active_workflows WHERE id = $1`, id)
}

// ListWorkflows returns the workspace's active workflows by name.
func (tx *Tx) ListWorkflows(ctx context.Context, workspace string) ([]cullet.Workflow, error) {
	return queryAll(ctx, tx, scanWorkflow, `SELECT `+workflowColumns+` FROM active_workflows WHERE workspace_id = $1 ORDER BY name, id`, workspace)
}

// WorkflowVersions returns what an active workflow was, newest first.
func (tx *Tx) WorkflowVersions(ctx context.Context, id string) ([]cullet.WorkflowVersion, error) {
	return queryAll(ctx, tx, func(r row) (v cullet.WorkflowVersion, err error) {
		return v, r.Scan(&v.Number, &v.Config, instant{&v.CreatedAt})
	}, `SELECT v.number, v.config, v.created_at FROM workflow_versions v JOIN active_workflows w ON w.id = v.workflow_id
		WHERE v.workflow_id = $1 ORDER BY v.number DESC`, id)
}

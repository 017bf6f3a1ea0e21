package sdk

import (
	"context"
	"net/http"
)

// Workspace is the workspace of an API key, from Client.Workspace.
type Workspace struct {
	Slug string // its address

	c *Client
}

// Projects returns the active projects of the workspace (contract/20, W1).
// Scope project:read.
func (w *Workspace) Projects(ctx context.Context) ([]*Project, error) {
	path, err := w.path()
	if err != nil {
		return nil, err
	}
	var in struct {
		Workspace *struct{ Projects []projectIn }
	}
	if err := w.c.do(ctx, call{method: http.MethodGet, path: path, out: &in}); err != nil {
		return nil, err
	}
	if in.Workspace == nil {
		return nil, badAnswer(http.MethodGet, "/"+w.Slug, "it holds no workspace")
	}
	all := make([]*Project, 0, len(in.Workspace.Projects))
	for _, p := range in.Workspace.Projects {
		project, err := w.toProject(p, http.MethodGet, "/"+w.Slug)
		if err != nil {
			return nil, err
		}
		all = append(all, project)
	}
	return all, nil
}

// path is the workspace's, with what comes below it.
func (w *Workspace) path(below ...string) ([]string, error) {
	if err := checkWord("workspace", w.Slug); err != nil {
		return nil, err
	}
	return append([]string{w.Slug}, below...), nil
}

package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Workflow is a handle of a workflow, and what the server told of it when the
// handle was made. Only Workspace and Slug are ever sent.
type Workflow struct {
	Workspace string // slug of its workspace
	Slug      string // its address; after a restore under another slug, assign Restored.URL

	ID          string // internal, as the Trash names it
	Name        string
	Description string
	Created     time.Time // zero where the server did not tell
	Updated     time.Time
	Config      string // the definition, JSON as it was saved; "" in lists

	c *Client
}

// workflowIn is a workflow as contract/60 has it.
type workflowIn struct {
	ID          text
	Name        text
	URL         text
	Description text
	Created     instant
	Updated     instant
	Config      json.RawMessage // a text that holds JSON; some servers send that JSON itself
}

func (w *Workspace) toWorkflow(in workflowIn) (*Workflow, error) {
	f := &Workflow{Workspace: w.Slug, Slug: string(in.URL), ID: string(in.ID), Name: string(in.Name), Description: string(in.Description),
		Created: in.Created.Time, Updated: in.Updated.Time, c: w.c}
	if len(in.Config) > 0 && string(in.Config) != "null" && json.Unmarshal(in.Config, &f.Config) != nil {
		f.Config = string(in.Config)
	}
	return f, checkWord("workflow", f.Slug)
}

// Workflows returns the active workflows of the workspace, without their
// definitions. Scope workflow:read.
func (w *Workspace) Workflows(ctx context.Context) ([]*Workflow, error) {
	path, err := w.path("workflows")
	if err != nil {
		return nil, err
	}
	var in listIn
	if err := w.c.do(ctx, call{method: http.MethodGet, path: path, out: &in}); err != nil {
		return nil, err
	}
	all := make([]*Workflow, 0, len(in))
	for _, f := range in {
		workflow, err := w.toWorkflow(f)
		if err != nil {
			return nil, badAnswer(http.MethodGet, "/"+w.Slug+"/workflows", "a workflow without a url")
		}
		all = append(all, workflow)
	}
	return all, nil
}

// listIn is {"workflows":[…]}, or the list alone.
type listIn []workflowIn

func (l *listIn) UnmarshalJSON(b []byte) error {
	if b = bytes.TrimSpace(b); len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]workflowIn)(l))
	}
	var in struct{ Workflows []workflowIn }
	err := json.Unmarshal(b, &in)
	*l = in.Workflows
	return err
}

// oneIn is {"workflow":{…}}, or the workflow alone.
type oneIn struct {
	workflowIn
	Workflow *workflowIn
}

func (o oneIn) one() workflowIn {
	if o.Workflow != nil {
		return *o.Workflow
	}
	return o.workflowIn
}

// Workflow returns the active workflow with that slug, or, on Cullet, that id.
// Scope workflow:read. Errors: ErrNotFound, also for what is in Trash.
func (w *Workspace) Workflow(ctx context.Context, slug string) (*Workflow, error) {
	if err := checkWord("workflow", slug); err != nil {
		return nil, err
	}
	path, err := w.path("workflows", slug)
	if err != nil {
		return nil, err
	}
	var in oneIn
	if err := w.c.do(ctx, call{method: http.MethodGet, path: path, out: &in}); err != nil {
		return nil, err
	}
	f, err := w.toWorkflow(in.one())
	if err != nil {
		return nil, badAnswer(http.MethodGet, "/"+strings.Join(path, "/"), "a workflow without a url")
	}
	return f, nil
}

// NewWorkflow is what a workflow is made of.
type NewWorkflow struct {
	Name string
	URL  string // its slug; "": made from the name, and by the server where that gives none

	// Config is its definition, as JSON. A bare one (version, inputs, steps,
	// outputs) is wrapped in {"specification":…}, which is what runs; anything else
	// is kept to the letter. "" is {}.
	Config string
}

// CreateWorkflow makes a workflow (contract/60). Scope workflow:create.
// Errors: ErrSlugTaken.
func (w *Workspace) CreateWorkflow(ctx context.Context, n NewWorkflow) (*Workflow, error) {
	path, err := w.path("createWorkflow")
	if err != nil {
		return nil, err
	}
	if n.URL == "" {
		n.URL = strings.Trim(notSlug.ReplaceAllString(strings.ToLower(n.Name), "-"), "-")
	}
	config := definition(n.Config)
	var in oneIn
	err = w.c.do(ctx, call{method: http.MethodPost, path: path, out: &in, any2xx: true,
		query: url.Values{"name": {n.Name}, "url": {n.URL}, "template": {"{}"}, "config": {config}}})
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusConflict { // contract/60: nothing else is a conflict here
		return nil, slugTaken(e, Restore{})
	} else if err != nil {
		return nil, err
	}
	f, err := w.toWorkflow(in.one())
	if err != nil {
		return nil, badAnswer(http.MethodPost, "/"+strings.Join(path, "/"), "a workflow without a url")
	}
	if f.Config == "" { // no server is bound to say more than the url
		f.Config = config
	}
	if f.Name == "" {
		f.Name = n.Name
	}
	return f, nil
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// definition is a workflow's definition as it is kept, by the rules of the Python
// SDK (roboflow 1.7.3, adapters/rfapi.py, _normalize_workflow_config).
func definition(config string) string {
	config = strings.TrimLeft(config, "\uFEFF")
	if config == "" {
		return "{}"
	}
	var top map[string]json.RawMessage
	if json.Unmarshal([]byte(config), &top) != nil || top["specification"] != nil {
		return config
	}
	for _, name := range []string{"version", "inputs", "steps", "outputs"} {
		if _, there := top[name]; there {
			var b bytes.Buffer
			if json.Compact(&b, []byte(config)) != nil {
				return config
			}
			return `{"specification":` + b.String() + `}`
		}
	}
	return config
}

// Delete moves the workflow to Trash (contract/10, T3). Scope workflow:update.
// Errors: ErrNotFound, also where it is in Trash already; nothing changes then.
func (f *Workflow) Delete(ctx context.Context) (*Deletion, error) {
	if err := checkWord("workflow", f.Slug); err != nil {
		return nil, err
	}
	return f.workspace().delete(ctx, "workflows", f.Slug)
}

// Restore brings the workflow back from Trash: of several that had its slug, the
// one that was deleted last. Scopes project:read and workflow:update.
// Errors: ErrNotInTrash, ErrSlugTaken, ErrBeingRemoved.
func (f *Workflow) Restore(ctx context.Context) (*Restored, error) {
	return f.workspace().restoreFirst(ctx, TypeWorkflow, f.Slug,
		func(s Sections) []TrashItem { return s.Workflows },
		func(i TrashItem) bool { return i.URL == f.Slug || i.ID == f.Slug })
}

func (f *Workflow) workspace() *Workspace { return &Workspace{Slug: f.Workspace, c: f.c} }

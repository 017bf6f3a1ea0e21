package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Project is a handle of a project, and what the server told of it when the handle
// was made. Only Workspace and Slug are ever sent.
type Project struct {
	Workspace string // slug of its workspace
	Slug      string // its address; after a restore under another slug, assign Restored.URL

	ID           string // internal, as the Trash names it; "" where the server did not tell
	Name         string
	Type         string // such as object-detection
	Multilabel   bool
	Annotation   string // the group of its annotations
	License      string
	Public       bool
	Created      time.Time
	Updated      time.Time
	Images       int
	Unannotated  int // of Images
	Splits       Splits
	Classes      map[string]int    // annotations of each class
	Colors       map[string]string // #RRGGBB of each class
	VersionCount int

	c *Client
}

// Splits counts images.
type Splits struct{ Train, Valid, Test int }

// projectIn is the Project object of contract/20.
type projectIn struct {
	ID          text
	ProjectID   text `json:"projectId"`
	Name        text
	Type        text
	Multilabel  flag
	Annotation  text
	License     text
	Public      flag
	Created     instant
	Updated     instant
	Images      number
	Unannotated number
	Splits      splitsIn
	Classes     map[string]number
	Colors      map[string]text
	Versions    number
}

type splitsIn struct{ Train, Valid, Test number }

func (s splitsIn) splits() Splits { return Splits{s.Train.int(), s.Valid.int(), s.Test.int()} }

func (w *Workspace) toProject(in projectIn, method, where string) (*Project, error) {
	slug := word(in.ID)
	if err := checkProject(slug); err != nil {
		return nil, badAnswer(method, where, "a project without an id")
	}
	p := &Project{Workspace: w.Slug, Slug: slug, ID: string(in.ProjectID), Name: string(in.Name), Type: string(in.Type),
		Multilabel: bool(in.Multilabel), Annotation: string(in.Annotation), License: string(in.License), Public: bool(in.Public),
		Created: in.Created.Time, Updated: in.Updated.Time, Images: in.Images.int(), Unannotated: in.Unannotated.int(),
		Splits: in.Splits.splits(), Classes: map[string]int{}, Colors: map[string]string{}, VersionCount: in.Versions.int(), c: w.c}
	for name, n := range in.Classes {
		p.Classes[name] = n.int()
	}
	for name, c := range in.Colors {
		p.Colors[name] = string(c)
	}
	return p, nil
}

// reserved are the words in the place of a project that are none (contract/00,
// "Router"). To delete one of them would be something else altogether: the Trash,
// a folder, a key.
var reserved = []string{"projects", "trash", "workflows", "createWorkflow", "updateWorkflow", "forkWorkflow", "groups", "images", "search",
	"upload", "models", "model-evals", "api-keys", "asynctasks", "devices", "stats", "billing-usage-report", "autolabel"}

// checkProject refuses what is no project's slug.
func checkProject(slug string) error {
	if slices.Contains(reserved, slug) {
		return fmt.Errorf("%w: %q is a reserved word and no project", ErrInvalid, slug)
	}
	return checkWord("project", slug)
}

// Project returns the active project with that slug (contract/20, P1). Scope
// project:read. Errors: ErrNotFound, also for what is in Trash.
func (w *Workspace) Project(ctx context.Context, slug string) (*Project, error) {
	p, _, err := w.project(ctx, slug)
	return p, err
}

// project reads a project with its versions.
func (w *Workspace) project(ctx context.Context, slug string) (*Project, []versionIn, error) {
	if err := checkProject(slug); err != nil {
		return nil, nil, err
	}
	path, err := w.path(slug)
	if err != nil {
		return nil, nil, err
	}
	var in struct {
		Project  projectIn
		Versions []versionIn
	}
	if err := w.c.do(ctx, call{method: http.MethodGet, path: path, out: &in}); err != nil {
		return nil, nil, err
	}
	p, err := w.toProject(in.Project, http.MethodGet, "/"+w.Slug+"/"+slug)
	return p, in.Versions, err
}

// NewProject is what a project is made of.
type NewProject struct {
	Name       string `json:"name"`
	Type       string `json:"type"`       // object-detection, classification, instance-segmentation, …
	License    string `json:"license"`    // such as "MIT" or "Private"
	Annotation string `json:"annotation"` // what is annotated, such as "bottles"
}

// CreateProject makes a project (contract/20, P2). The server makes its slug of
// the name; that of a project in Trash is free. Scope project:create.
func (w *Workspace) CreateProject(ctx context.Context, n NewProject) (*Project, error) {
	path, err := w.path("projects")
	if err != nil {
		return nil, err
	}
	var in struct {
		projectIn
		Error json.RawMessage
	}
	err = w.c.do(ctx, call{method: http.MethodPost, path: path, body: n, out: &in, any2xx: true})
	if err != nil {
		return nil, err
	}
	where := "/" + w.Slug + "/projects"
	if len(in.Error) > 0 && string(in.Error) != "null" { // hosted refuses with a 200, too
		message, _ := sentence([]byte(`{"error":` + string(in.Error) + `}`))
		return nil, &Error{Status: http.StatusOK, Message: plain(w.c.scrub(message)), Method: http.MethodPost, Path: where, kind: ErrInvalid}
	}
	return w.toProject(in.projectIn, http.MethodPost, where)
}

// Versions returns the versions of the project, as the server orders them: the
// newest first. Scopes project:read and version:read; a key without the second
// may be told of none.
func (p *Project) Versions(ctx context.Context) ([]*Version, error) {
	_, in, err := p.workspace().project(ctx, p.Slug)
	if err != nil {
		return nil, err
	}
	all := make([]*Version, 0, len(in))
	for _, v := range in {
		version, err := p.toVersion(v)
		if err != nil {
			return nil, err
		}
		all = append(all, version)
	}
	return all, nil
}

// Version returns version number of the project, also one whose generation has
// not ended, or failed. It looks in the list of versions, as the Python SDK does.
// Errors: ErrNotFound, also for what is in Trash.
func (p *Project) Version(ctx context.Context, number int) (*Version, error) {
	if number < 1 {
		return nil, fmt.Errorf("%w: there is no version %d; they are counted from 1", ErrInvalid, number)
	}
	all, err := p.Versions(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if v.Number == number {
			return v, nil
		}
	}
	return nil, fmt.Errorf("version %d of project %s: %w", number, p.Slug, ErrNotFound)
}

// Delete moves the project to Trash, with everything in it (contract/10, T1).
// Trainings of it that have not ended are cancelled. Scope project:update.
// Errors: ErrNotFound, also where it is in Trash already; nothing changes then.
func (p *Project) Delete(ctx context.Context) (*Deletion, error) {
	if err := checkProject(p.Slug); err != nil {
		return nil, err
	}
	return p.workspace().delete(ctx, p.Slug)
}

// Restore brings the project back from Trash: of several that had its slug, the
// one that was deleted last. Scopes project:read and project:update.
// Errors: ErrNotInTrash, ErrSlugTaken, ErrBeingRemoved.
func (p *Project) Restore(ctx context.Context) (*Restored, error) {
	return p.workspace().restoreFirst(ctx, TypeProject, p.Slug,
		func(s Sections) []TrashItem { return s.Projects },
		func(i TrashItem) bool { return i.URL == p.Slug })
}

func (p *Project) workspace() *Workspace { return &Workspace{Slug: p.Workspace, c: p.c} }

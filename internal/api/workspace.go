package api

import (
	"net/http"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/dataset"
)

// root says which workspace a key is of (contract/00).
func (s *Server) root(w http.ResponseWriter, r *http.Request) error {
	return ok(w, map[string]string{
		"welcome":      "Welcome to Cullet. It speaks the REST API of Roboflow.",
		"instructions": "You are authenticated. Point the official clients here with API_URL.",
		"docs":         "https://github.com/cullet-vision/cullet",
		"workspace":    of(r).workspace.Slug,
	})
}

type workspaceOut struct {
	Name     string       `json:"name"`
	URL      string       `json:"url"`
	Members  int64        `json:"members"`
	Projects []projectOut `json:"projects,omitempty"`
}

func (s *Server) workspaceOut(r *http.Request) (workspaceOut, error) {
	n, err := s.Access.Members(r.Context(), actor(r))
	ws := of(r).workspace
	return workspaceOut{Name: ws.Name, URL: ws.Slug, Members: n}, err
}

// getWorkspace is W1: the workspace with all its active projects.
func (s *Server) getWorkspace(w http.ResponseWriter, r *http.Request) error {
	out, err := s.workspaceOut(r)
	if err != nil {
		return err
	}
	all, err := s.Catalog.Projects(r.Context(), actor(r))
	if err != nil {
		return err
	}
	projects := make([]projectOut, len(all))
	for n, d := range all {
		projects[n] = toProject(out.URL, d)
	}
	return ok(w, map[string]any{"workspace": struct {
		workspaceOut
		Projects []projectOut `json:"projects"` // never absent here
	}{out, projects}})
}

// projectOut is the Project object of contract/20. Every field is there always:
// the SDK fails without.
type projectOut struct {
	ID          string            `json:"id"` // workspace/slug
	ProjectID   string            `json:"projectId"`
	Name        string            `json:"name"`
	Type        string            `json:"type"`
	Multilabel  bool              `json:"multilabel"`
	Annotation  string            `json:"annotation"`
	Classes     map[string]int64  `json:"classes"`
	Colors      map[string]string `json:"colors"`
	Created     int64             `json:"created"` // epoch seconds
	Updated     int64             `json:"updated"`
	Images      int64             `json:"images"`
	Unannotated int64             `json:"unannotated"`
	Public      bool              `json:"public"`
	Splits      splitsOut         `json:"splits"`
	Versions    int64             `json:"versions"`
	License     string            `json:"license"`
	Group       *string           `json:"group"` // id of the folder, null at the root
}

type splitsOut struct {
	Train int64 `json:"train"`
	Valid int64 `json:"valid"`
	Test  int64 `json:"test"`
}

func toProject(ws string, d dataset.Detail) projectOut {
	p := projectOut{ID: ws + "/" + d.Slug, ProjectID: d.ID, Name: d.Name, Type: string(d.Type), Multilabel: d.Multilabel, Annotation: d.Group,
		Classes: map[string]int64{}, Colors: map[string]string{}, Created: d.CreatedAt.Unix(), Updated: d.UpdatedAt.Unix(),
		Images: d.Counts.Images, Unannotated: d.Counts.Unannotated, Splits: splitsOut{d.Counts.Train, d.Counts.Valid, d.Counts.Test},
		Versions: d.Counts.Versions, License: d.License}
	for _, c := range d.Classes {
		p.Classes[c.Name], p.Colors[c.Name] = c.Count, c.Color
	}
	if d.Folder != "" {
		p.Group = &d.Folder
	}
	return p
}

// getProject is P1: one project with its versions, newest first.
func (s *Server) getProject(w http.ResponseWriter, r *http.Request) error {
	d, err := s.Catalog.Project(r.Context(), actor(r), word(r, "project"))
	if err != nil {
		return err
	}
	versions := []versionOut{}
	// A key that may see projects and no versions is told of none.
	if actor(r).Can(cullet.VersionRead) {
		all, err := s.Press.Versions(r.Context(), actor(r), d.ID)
		if err != nil {
			return err
		}
		for _, v := range all {
			out := toVersion(of(r).workspace.Slug, d.Slug, v.Version, v.Exports)
			if v.Models > 0 {
				out.Model = &modelOut{ID: shortVersion(d.Slug, v.Number)}
			}
			versions = append(versions, out)
		}
	}
	ws, err := s.workspaceOut(r)
	if err != nil {
		return err
	}
	return ok(w, map[string]any{"workspace": ws, "project": toProject(ws.URL, d), "versions": versions})
}

// createProject is P2. The answer is a project without anything around it.
func (s *Server) createProject(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Name       string `json:"name"`
		Type       string `json:"type"`
		License    string `json:"license"`
		Annotation string `json:"annotation"` // what the annotations are of
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	p, err := s.Catalog.CreateProject(r.Context(), actor(r), dataset.NewProject{Name: in.Name, Type: in.Type, License: in.License, Group: in.Annotation})
	if err != nil {
		return err
	}
	return ok(w, toProject(of(r).workspace.Slug, dataset.Detail{Project: p}))
}

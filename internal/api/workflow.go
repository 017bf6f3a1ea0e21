package api

import (
	"encoding/json"
	"net/http"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/workflow"
)

type workflowOut struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	URL         string  `json:"url"`
	Description string  `json:"description"`
	Status      string  `json:"status"`
	BlockCount  int     `json:"blockCount"`
	Created     int64   `json:"created"` // epoch seconds
	Updated     int64   `json:"updated"`
	Config      *string `json:"config,omitempty"` // to the letter; absent in the list
}

func toWorkflow(f cullet.Workflow) workflowOut {
	return workflowOut{ID: f.ID, Name: f.Name, URL: f.Slug, Description: f.Description, Status: "active", BlockCount: blocks(f.Config),
		Created: f.CreatedAt.Unix(), Updated: f.UpdatedAt.Unix()}
}

// blocks counts the steps of a definition; of one in another form it counts none.
func blocks(config string) int {
	var c struct {
		Specification struct{ Steps []json.RawMessage }
	}
	if json.Unmarshal([]byte(config), &c) != nil {
		return 0
	}
	return len(c.Specification.Steps)
}

func (s *Server) listWorkflows(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Shelf.List(r.Context(), actor(r))
	if err != nil {
		return err
	}
	list := []workflowOut{}
	for _, f := range all {
		list = append(list, toWorkflow(f))
	}
	return ok(w, map[string]any{"workflows": list})
}

func (s *Server) getWorkflow(w http.ResponseWriter, r *http.Request) error {
	f, err := s.Shelf.Get(r.Context(), actor(r), word(r, "workflow"))
	if err != nil {
		return err
	}
	out := toWorkflow(f)
	out.Config = &f.Config
	return ok(w, map[string]any{"workflow": out})
}

func (s *Server) workflowVersions(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Shelf.Versions(r.Context(), actor(r), word(r, "workflow"))
	if err != nil {
		return err
	}
	type versionOut struct {
		Version int64  `json:"version"`
		Created string `json:"created"`
		Config  string `json:"config"`
	}
	list := []versionOut{}
	for _, v := range all {
		list = append(list, versionOut{v.Number, stamp(v.CreatedAt), v.Config})
	}
	return ok(w, map[string]any{"versions": list})
}

// createWorkflow takes everything from the query: so the SDK sends it (contract/60).
func (s *Server) createWorkflow(w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	f, err := s.Shelf.Create(r.Context(), actor(r), workflow.Draft{Name: q.Get("name"), Slug: q.Get("url"), Config: q.Get("config")})
	if err != nil {
		return err
	}
	out := toWorkflow(f)
	out.Config = &f.Config
	return ok(w, map[string]any{"workflow": out})
}

func (s *Server) updateWorkflow(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		ID     string  `json:"id"`
		Name   string  `json:"name"`
		URL    string  `json:"url"`
		Config *string `json:"config"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	if in.ID == "" || in.Config == nil {
		return cullet.E(cullet.Invalid, "id and config are mandatory; config is the whole definition, as a text")
	}
	f, err := s.Shelf.Save(r.Context(), actor(r), workflow.Draft{ID: in.ID, Name: in.Name, Slug: in.URL, Config: *in.Config})
	if err != nil {
		return err
	}
	return ok(w, map[string]any{"status": "ok", "workflow": toWorkflow(f)})
}

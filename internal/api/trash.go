package api

import (
	"net/http"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/trash"
)

// deletedOut is what a deletion answers, of whatever type: what the contract has
// for it (contract/10, T1 to T3), and what we add.
type deletedOut struct {
	Deleted    bool    `json:"deleted"`
	Type       string  `json:"type"`
	Workspace  string  `json:"workspace"`
	Project    string  `json:"project,omitempty"`
	ProjectID  string  `json:"projectId,omitempty"`
	Version    string  `json:"version,omitempty"`
	Workflow   string  `json:"workflow,omitempty"`
	WorkflowID string  `json:"workflowId,omitempty"`
	Trash      bool    `json:"trash"`
	DeletedAt  string  `json:"deletedAt"`
	CleanupAt  string  `json:"scheduledCleanupAt"`
	Cancelled  []endOf `json:"cancelledTrainings"`
}

type endOf struct {
	TrainingID   string `json:"trainingId"`
	ModelType    string `json:"modelType"`
	MicroCredits int64  `json:"microCredits"`
}

func toDeleted(ws string, t cullet.TrashItem) deletedOut {
	out := deletedOut{Deleted: true, Type: string(t.Type), Workspace: ws, Trash: true,
		DeletedAt: stamp(t.DeletedAt), CleanupAt: stamp(t.EffectiveAt), Cancelled: []endOf{}}
	switch t.Type {
	case cullet.TrashProject:
		out.Project, out.ProjectID = t.Slug, t.Target
	case cullet.TrashVersion:
		out.Project, out.ProjectID, out.Version = t.ProjectSlug, t.Project, t.WireID()
	case cullet.TrashWorkflow:
		out.Workflow, out.WorkflowID = t.Slug, t.Target
	}
	for _, c := range t.Contents.Cancelled {
		out.Cancelled = append(out.Cancelled, endOf{c.ID, c.ModelType, c.MicroCredits})
	}
	return out
}

// deleteProject is T1.
func (s *Server) deleteProject(w http.ResponseWriter, r *http.Request) error {
	t, err := s.Bin.DeleteProject(r.Context(), actor(r), word(r, "project"))
	if err != nil {
		return err
	}
	return ok(w, toDeleted(of(r).workspace.Slug, t))
}

// deleteVersion is T2.
func (s *Server) deleteVersion(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	t, err := s.Bin.DeleteVersion(r.Context(), actor(r), word(r, "project"), n)
	if err != nil {
		return err
	}
	return ok(w, toDeleted(of(r).workspace.Slug, t))
}

// deleteWorkflow is T3.
func (s *Server) deleteWorkflow(w http.ResponseWriter, r *http.Request) error {
	t, err := s.Bin.DeleteWorkflow(r.Context(), actor(r), word(r, "workflow"))
	if err != nil {
		return err
	}
	return ok(w, toDeleted(of(r).workspace.Slug, t))
}

// itemOut is one item of the list (contract/10, T5).
type itemOut struct {
	ID            string `json:"id"`
	Type          string `json:"type"`
	Name          string `json:"name"`
	URL           string `json:"url,omitempty"`
	ParentID      string `json:"parentId,omitempty"`
	ParentURL     string `json:"parentUrl,omitempty"`
	ParentName    string `json:"parentName,omitempty"`
	DeletedAt     string `json:"deletedAt"`
	CleanupAt     string `json:"scheduledCleanupAt"`
	DeletedBy     string `json:"deletedBy"`
	DeletedByName string `json:"deletedByName"`
	DeleteImages  *bool  `json:"cleanupDeleteImages,omitempty"` // of a project: they go with it (C5)
	ParentInTrash bool   `json:"parentInTrash"`
	BeingPurged   bool   `json:"beingPurged"`
}

func toItem(t cullet.TrashItem) itemOut {
	out := itemOut{ID: t.WireID(), Type: string(t.Type), Name: t.Name, DeletedAt: stamp(t.DeletedAt), CleanupAt: stamp(t.EffectiveAt),
		DeletedBy: t.DeletedBy, DeletedByName: t.DeletedByName, ParentInTrash: t.ParentItem != "", BeingPurged: t.State == cullet.Purging}
	if out.DeletedBy == "" {
		out.DeletedBy = string(t.DeletedMeans) // nobody's key or session: the server itself
	}
	if out.DeletedByName == "" {
		out.DeletedByName = out.DeletedBy
	}
	switch t.Type {
	case cullet.TrashProject:
		yes := true
		out.URL, out.DeleteImages = t.Slug, &yes
	case cullet.TrashWorkflow:
		out.URL = t.Slug
	case cullet.TrashVersion, cullet.TrashImages:
		out.ParentID, out.ParentURL, out.ParentName = t.Project, t.ProjectSlug, t.ProjectName
	case cullet.TrashTraining:
		short := shortVersion(t.ProjectSlug, t.VersionNumber)
		out.ParentID, out.ParentURL, out.ParentName = t.Version, short, short
	}
	if out.Name == "" {
		out.Name = t.Handle()
	}
	return out
}

// sections are the lists of the answer. All are there always: a null breaks the clients.
type sections struct {
	Projects  []itemOut `json:"projects"`
	Versions  []itemOut `json:"versions"`
	Workflows []itemOut `json:"workflows"`
	Trainings []itemOut `json:"trainings"`
	Images    []itemOut `json:"images"`
}

func (s *sections) of(t cullet.Trashable) *[]itemOut {
	switch t {
	case cullet.TrashProject:
		return &s.Projects
	case cullet.TrashVersion:
		return &s.Versions
	case cullet.TrashWorkflow:
		return &s.Workflows
	case cullet.TrashTraining:
		return &s.Trainings
	default:
		return &s.Images
	}
}

// listTrash is T5: everything, in the order in which clients take the first match
// (R7).
func (s *Server) listTrash(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Bin.List(r.Context(), actor(r))
	if err != nil {
		return err
	}
	out := struct {
		Items     []itemOut `json:"items"`
		Sections  sections  `json:"sections"`
		Retention float64   `json:"retentionDays"`
	}{[]itemOut{}, sections{}, s.Bin.RetentionOf(of(r).workspace).Hours() / 24}
	for _, t := range cullet.TrashableTypes() {
		*out.Sections.of(t) = []itemOut{}
	}
	for _, t := range all {
		item := toItem(t)
		section := out.Sections.of(t.Type)
		out.Items, *section = append(out.Items, item), append(*section, item)
	}
	return ok(w, out)
}

// restore is T6.
func (s *Server) restore(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Type     string       `json:"type"`
		ID       textOrNumber `json:"id"`
		ParentID textOrNumber `json:"parentId"`
		NewURL   string       `json:"newUrl"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	typ := cullet.Trashable(in.Type)
	switch typ {
	case cullet.TrashTraining, cullet.TrashImages:
		return cullet.E(cullet.NotImplemented, "restoring what has the type %q is not available on this server yet", typ)
	case cullet.TrashProject, cullet.TrashWorkflow:
	default:
		if in.NewURL != "" {
			return cullet.E(cullet.Invalid, "newUrl is for projects and workflows; a %s has no slug of its own", brief(in.Type))
		}
		typ = cullet.Trashable(brief(in.Type)) // of an unknown one, not more is said back
	}
	if len(in.ID) > maxWord || len(in.ParentID) > maxWord {
		return cullet.E(cullet.Invalid, "the id %q is longer than any there is", brief(string(in.ID)))
	}
	back, err := s.Bin.Restore(r.Context(), actor(r), trash.Request{Type: typ, ID: string(in.ID), Parent: string(in.ParentID), NewSlug: in.NewURL})
	if err != nil {
		return err
	}
	return ok(w, struct {
		Restored    bool   `json:"restored"`
		Type        string `json:"type"`
		ID          string `json:"id"`
		URL         string `json:"url,omitempty"`
		ToRoot      bool   `json:"restoredToRoot,omitempty"`
		RenamedFrom string `json:"renamedFrom,omitempty"`
	}{true, string(back.Item.Type), back.Item.WireID(), back.Slug, back.AtRoot, back.WasSlug})
}

// refusePurge is T7: whatever asks for a permanent deletion is refused, whoever
// asks, and kept in the audit (P2).
func (s *Server) refusePurge(_ http.ResponseWriter, r *http.Request) error {
	by := actor(r)
	s.Log.Warn("a key asked for a permanent deletion", "request", by.Request, "workspace", of(r).workspace.Slug, "key", by.ID, "path", brief(r.URL.Path))
	return s.Bin.RefusePurge(r.Context(), by, brief(r.Method+" "+r.URL.Path),
		"no API key can delete permanently; a person can, in the web app under Settings, Trash")
}

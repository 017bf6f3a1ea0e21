package api

import (
	"net/http"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/dataset"
)

// This file has folders, which the wire calls groups (contract/20).

type folderOut struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	ParentID *string           `json:"parent_id"`
	Projects []folderProjectOf `json:"projects"`
}

type folderProjectOf struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func toFolder(ws string, f dataset.Folder) folderOut {
	out := folderOut{ID: f.ID, Name: f.Name, Projects: []folderProjectOf{}}
	if f.Parent != "" {
		out.ParentID = &f.Parent
	}
	for _, p := range f.Projects {
		out.Projects = append(out.Projects, folderProjectOf{ws + "/" + p.Slug, p.Name})
	}
	return out
}

// listFolders answers all folders, or the one that groupId names.
func (s *Server) listFolders(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Catalog.Folders(r.Context(), actor(r))
	if err != nil {
		return err
	}
	one, data := query(r).Get("groupId"), []folderOut{}
	for _, f := range all {
		if one == "" || f.ID == one {
			data = append(data, toFolder(of(r).workspace.Slug, f))
		}
	}
	if one != "" && len(data) == 0 {
		return cullet.E(cullet.NotFound, "there is no folder %q in this workspace", brief(one))
	}
	return ok(w, map[string]any{"data": data})
}

func (s *Server) createFolder(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Name     string   `json:"name"`
		ParentID string   `json:"parent_id"`
		Projects []string `json:"projects"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	f, err := s.Catalog.CreateFolder(r.Context(), actor(r), in.Name, in.ParentID, in.Projects)
	if err != nil {
		return err
	}
	out := map[string]string{"id": f.ID, "name": f.Name}
	return ok(w, map[string]any{"id": f.ID, "name": f.Name, "group": out}) // clients read either
}

func (s *Server) renameFolder(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Name string `json:"name"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	if err := s.Catalog.RenameFolder(r.Context(), actor(r), word(r, "folder"), in.Name); err != nil {
		return err
	}
	return ok(w, map[string]any{"success": true, "id": word(r, "folder"), "name": in.Name})
}

func (s *Server) removeFolder(w http.ResponseWriter, r *http.Request) error {
	if err := s.Catalog.RemoveFolder(r.Context(), actor(r), word(r, "folder")); err != nil {
		return err
	}
	return ok(w, map[string]any{"success": true, "id": word(r, "folder")})
}

func (s *Server) addToFolder(w http.ResponseWriter, r *http.Request) error {
	return s.moveProjects(w, r, true)
}

func (s *Server) removeFromFolder(w http.ResponseWriter, r *http.Request) error {
	return s.moveProjects(w, r, false)
}

func (s *Server) moveProjects(w http.ResponseWriter, r *http.Request, in bool) error {
	var body struct {
		Projects []string `json:"projects"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if len(body.Projects) == 0 {
		return cullet.E(cullet.Invalid, "projects is empty; name at least one")
	}
	if err := s.Catalog.MoveProjects(r.Context(), actor(r), word(r, "folder"), body.Projects, in); err != nil {
		return err
	}
	return ok(w, map[string]any{"success": true, "id": word(r, "folder")})
}

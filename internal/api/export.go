package api

import (
	"net/http"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/version"
)

// getExport is E1: it begins the export where there is none, says how far it is,
// and once it is ready hands out a link.
func (s *Server) getExport(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	by := actor(r)
	d, err := s.Press.Version(r.Context(), by, word(r, "project"), n)
	if err != nil {
		return err
	}
	if err := usable(d); err != nil {
		return err
	}
	if d.State == cullet.Generating {
		return notYet(w, 0)
	}
	e, err := s.Press.Export(r.Context(), by, d.Project.ID, n, word(r, "format"))
	if err != nil {
		return err
	}
	if e.State != cullet.ExportReady {
		return notYet(w, version.Progress(e, d.Version))
	}
	ws := of(r).workspace
	return ok(w, map[string]any{
		"export":    map[string]any{"link": s.link(r, exportFile, e.ID), "size": e.Bytes, "format": e.Format},
		"version":   toVersion(ws.Slug, d.Project.Slug, d.Version, d.Exports),
		"project":   toProject(ws.Slug, projectOf(d)),
		"workspace": map[string]string{"name": ws.Name, "url": ws.Slug},
	})
}

// notYet has the client ask again. The number has to be there (contract/40).
func notYet(w http.ResponseWriter, progress float64) error {
	reply(w, http.StatusAccepted, map[string]any{"ready": false, "progress": progress})
	return nil
}

// projectOf is the project of a version as it is told by itself.
func projectOf(d version.Detail) dataset.Detail {
	return dataset.Detail{Project: d.Project, Classes: d.Classes}
}

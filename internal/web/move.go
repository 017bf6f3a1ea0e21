package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/cullet-vision/cullet"
)

// deletePage says what moving to Trash takes along and ends.
type deletePage struct {
	*frame
	Modal      bool
	Type       cullet.Trashable
	Name       string // "my-detector", "version 3 of my-detector"
	Action     string // where the form goes
	Back       string // where cancelling goes
	Until      time.Time
	Kept       string
	Counts     []counted
	Bytes      int64
	Trainings  []trainingRow
	Stopping   []string // generations and exports in flight, in words
	Models     int64    // that stop answering
	Dependents []string // workflows that name its models
}

// counted is a number of things.
type counted struct {
	Name  string
	Count int64
}

func (a *app) askDelete(w http.ResponseWriter, v *visit, p deletePage, section string) error {
	f, err := a.inside(v, section, "Move "+p.Name+" to Trash", v.ws.Name)
	if err != nil {
		return err
	}
	retention := a.Bin.RetentionOf(v.ws)
	p.frame, p.Modal, p.Action = f, v.hx, v.URL.Path
	p.Until, p.Kept = cullet.CleanupAt(v.now, retention), kept(retention)
	return a.render(w, v, http.StatusOK, "delete", p)
}

func (a *app) deleteProjectDialog(w http.ResponseWriter, v *visit) error {
	if err := v.by.Allow(cullet.ProjectUpdate); err != nil {
		return err
	}
	d, err := a.Catalog.Project(v.Context(), v.by, chi.URLParam(v.Request, "project"))
	if err != nil {
		return err
	}
	p := deletePage{Type: cullet.TrashProject, Name: d.Slug, Bytes: d.Counts.Bytes, Back: "/app/" + v.ws.Slug + "/" + d.Slug}
	versions, err := a.Press.Versions(v.Context(), v.by, d.ID)
	if err != nil {
		return err
	}
	exports := int64(0)
	for _, l := range versions {
		exports += int64(len(l.Exports))
		p.Models += int64(l.Models)
	}
	p.Counts = []counted{{"image", d.Counts.Images}, {"annotation", d.Counts.Annotations}, {"version", int64(len(versions))}, {"model", p.Models}, {"export", exports}}
	if err := a.addInFlight(v, &p, d.Project, 0); err != nil {
		return err
	}
	if err := a.addDependents(v, &p, d.Slug+"/"); err != nil {
		return err
	}
	return a.askDelete(w, v, p, "projects")
}

func (a *app) deleteVersionDialog(w http.ResponseWriter, v *visit) error {
	if err := v.by.Allow(cullet.VersionUpdate); err != nil {
		return err
	}
	n, err := numberOf(v)
	if err != nil {
		return err
	}
	d, err := a.Press.Version(v.Context(), v.by, chi.URLParam(v.Request, "project"), n)
	if err != nil {
		return err
	}
	p := deletePage{Type: cullet.TrashVersion, Name: fmt.Sprintf("%s/%d", d.Project.Slug, n), Bytes: d.Bytes, Models: int64(len(d.Models)),
		Back: "/app/" + v.ws.Slug + "/" + d.Project.Slug + "/versions"}
	p.Counts = []counted{{"image", d.Images}, {"model", p.Models}, {"export", int64(len(d.Exports))}}
	if err := a.addInFlight(v, &p, d.Project, n); err != nil {
		return err
	}
	if err := a.addDependents(v, &p, p.Name+`"`); err != nil {
		return err
	}
	return a.askDelete(w, v, p, "projects")
}

func (a *app) deleteWorkflowDialog(w http.ResponseWriter, v *visit) error {
	if err := v.by.Allow(cullet.WorkflowUpdate); err != nil {
		return err
	}
	wf, err := a.Shelf.Get(v.Context(), v.by, chi.URLParam(v.Request, "workflow"))
	if err != nil {
		return err
	}
	saved, err := a.Shelf.Versions(v.Context(), v.by, wf.ID)
	if err != nil {
		return err
	}
	p := deletePage{Type: cullet.TrashWorkflow, Name: wf.Slug, Bytes: int64(len(wf.Config)), Back: "/app/" + v.ws.Slug + "/workflows",
		Counts: []counted{{"saved state", int64(len(saved))}}}
	return a.askDelete(w, v, p, "workflows")
}

// addInFlight names the work that the deletion ends (D4).
func (a *app) addInFlight(v *visit, p *deletePage, project cullet.Project, number int64) (err error) {
	if p.Trainings, err = a.inFlight(v, project.ID, number); err != nil {
		return err
	}
	work, err := a.Press.Running(v.Context(), v.by)
	if err != nil {
		return err
	}
	for _, g := range work.Versions {
		if g.Project == project.ID && (number == 0 || g.Number == number) {
			p.Stopping = append(p.Stopping, fmt.Sprintf("the generation of version %d, which stops at %s of %s images", g.Number, num(g.Images), num(g.Expected)))
		}
	}
	for _, e := range work.Exports {
		if e.Of.Project == project.ID && (number == 0 || e.Of.Number == number) {
			p.Stopping = append(p.Stopping, fmt.Sprintf("the export of version %d as %s", e.Of.Number, e.Format))
		}
	}
	return nil
}

// addDependents names the workflows whose definition holds the name of a model.
func (a *app) addDependents(v *visit, p *deletePage, model string) error {
	all, err := a.Shelf.List(v.Context(), v.by)
	if err != nil {
		return err
	}
	for _, wf := range all {
		config := strings.ReplaceAll(wf.Config, `\"`, `"`)
		if strings.Contains(config, `"`+model) {
			p.Dependents = append(p.Dependents, wf.Slug)
		}
	}
	return nil
}

func (a *app) deleteProject(w http.ResponseWriter, v *visit) error {
	t, err := a.Bin.DeleteProject(v.Context(), v.by, chi.URLParam(v.Request, "project"))
	return a.moved(v, t, err, "/app/"+v.ws.Slug)
}

func (a *app) deleteVersion(w http.ResponseWriter, v *visit) error {
	n, err := numberOf(v)
	if err != nil {
		return err
	}
	t, err := a.Bin.DeleteVersion(v.Context(), v.by, chi.URLParam(v.Request, "project"), n)
	return a.moved(v, t, err, "/app/"+v.ws.Slug+"/"+t.ProjectSlug+"/versions")
}

func (a *app) deleteWorkflow(w http.ResponseWriter, v *visit) error {
	t, err := a.Bin.DeleteWorkflow(v.Context(), v.by, chi.URLParam(v.Request, "workflow"))
	return a.moved(v, t, err, "/app/"+v.ws.Slug+"/workflows")
}

// moved tells what was moved to Trash and ended with it, and offers to undo it.
func (a *app) moved(v *visit, t cullet.TrashItem, err error, to string) error {
	if err != nil {
		return err
	}
	text := t.Handle() + " moved to Trash."
	if n := len(t.Contents.Cancelled); n > 0 {
		text += " " + count(n, "training") + " cancelled."
	}
	if n := t.Contents.Interrupted; n > 0 {
		text += " " + count(n, "job") + " stopped."
	}
	a.say(v, flash{Text: text, Undo: []string{t.ID}, Back: to})
	v.to = to
	return nil
}

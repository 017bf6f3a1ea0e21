package web

import (
	"fmt"
	"net/http"

	"github.com/cullet-vision/cullet/internal/version"
)

// job is one line of the tray: what runs, how far it is, and where to look.
type job struct {
	Kind  string
	Name  string
	URL   string
	Share float64
	Soon  bool // it has not begun yet
}

// running gathers what runs in the workspace at this moment.
func (a *app) running(v *visit) (jobs []job, err error) {
	base := "/app/" + v.ws.Slug
	orders, err := a.Purge.Running(v.Context(), v.by)
	if err != nil {
		return nil, err
	}
	for _, o := range orders {
		r, err := a.Purge.Report(v.Context(), v.by, o.ID)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job{Kind: "purge", Name: "Deleting " + count(len(r.Items), "item") + " permanently",
			URL: base + "/settings/trash/purges/" + o.ID, Share: shareOf(r), Soon: v.now.Before(o.StartsAt)})
	}
	rescues, err := a.Bin.RunningRescues(v.Context(), v.by)
	if err != nil {
		return nil, err
	}
	for _, r := range rescues {
		jobs = append(jobs, job{Kind: "rescue", Name: "Restoring " + count(r.Items, "item"), URL: base + "/settings/trash/rescues/" + r.ID, Share: rescued(r)})
	}
	work, err := a.Press.Running(v.Context(), v.by)
	if err != nil {
		return nil, err
	}
	for _, g := range work.Versions {
		jobs = append(jobs, job{Kind: "generation", Name: fmt.Sprintf("Generating %s/%d", g.ProjectSlug, g.Number),
			URL: base + "/" + g.ProjectSlug + "/versions", Share: g.Progress()})
	}
	for _, e := range work.Exports {
		jobs = append(jobs, job{Kind: "export", Name: fmt.Sprintf("Exporting %s/%d as %s", e.Of.ProjectSlug, e.Of.Number, e.Format),
			URL: base + "/" + e.Of.ProjectSlug + "/versions", Share: version.Progress(e.Export, e.Of)})
	}
	return jobs, nil
}

// jobs is what the tray shows, as a page.
func (a *app) jobs(w http.ResponseWriter, v *visit) error {
	f, err := a.inside(v, "", "Running", v.ws.Name)
	if err != nil {
		return err
	}
	f.Live = len(f.Jobs) > 0
	if v.hx {
		return a.write(w, http.StatusOK, "jobs", "job-tray", f)
	}
	return a.render(w, v, http.StatusOK, "jobs", f)
}

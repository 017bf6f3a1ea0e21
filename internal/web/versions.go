package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/version"
)

// versionsPage lists the versions of a project, with the numbers that are missing.
type versionsPage struct {
	*frame
	head
	Rows   []versionRow
	Server string
}

// versionRow is a version, or a gap in the numbers.
type versionRow struct {
	version.Listed
	Gap       string // words for numbers without a version, "" for a version
	GapState  string // trash, gone
	Progress  float64
	Trainings []trainingRow
	InTrash   string // address of the Trash, of a gap that lies there
}

// fewTrainings is how many of a version's trainings its row shows, beside those in
// flight.
const fewTrainings = 3

// trainingRow is a training of a version.
type trainingRow struct {
	cullet.Training
	Spent int64 // micro-credits up to now
}

// Ended says whether nothing can happen to it any more.
func (t trainingRow) Ended() bool { return t.State.Ended() }

// Since is when the training came to where it is, as far as it is known.
func (t trainingRow) Since() string {
	switch {
	case t.Ended():
		return stamp(t.EndedAt)
	case t.StartedAt.IsZero():
		return "waiting since " + stamp(t.CreatedAt)
	}
	return "since " + stamp(t.StartedAt)
}

// Icon is the one of its state.
func (t trainingRow) Icon() string {
	switch t.State {
	case cullet.TrainFinished, cullet.TrainStopped:
		return "check"
	case cullet.TrainCancelled:
		return "stop"
	case cullet.TrainFailed:
		return "alert"
	}
	return "training"
}

func (a *app) versions(w http.ResponseWriter, v *visit) error {
	f, h, err := a.projectHead(v, "versions", "Versions")
	if err != nil {
		return err
	}
	page := versionsPage{frame: f, head: h, Server: a.origin(v.Request)}
	all, err := a.Press.Versions(v.Context(), v.by, h.Project.ID)
	if err != nil {
		return err
	}
	gaps, err := a.Press.Gaps(v.Context(), v.by, h.Project.ID)
	if err != nil {
		return err
	}
	trainings, err := a.trainings(v, h.Project.ID)
	if err != nil {
		return err
	}
	for _, l := range all {
		row := versionRow{Listed: l, Progress: l.Progress()}
		f.Live = f.Live || l.State == cullet.Generating
		for _, t := range trainings[l.ID] {
			f.Live = f.Live || !t.Ended()
			if !t.Ended() || len(row.Trainings) < fewTrainings {
				row.Trainings = append(row.Trainings, t)
			}
		}
		page.Rows = append(page.Rows, row)
	}
	page.addGaps(gaps)
	return a.render(w, v, http.StatusOK, "versions", page)
}

// addGaps puts the missing numbers where they would be, neighbours of one fate in
// one line (D6).
func (p *versionsPage) addGaps(gaps []version.Gap) {
	for len(gaps) > 0 {
		n := 1
		for n < len(gaps) && gaps[n].InTrash == gaps[0].InTrash && gaps[n].Number == gaps[0].Number-int64(n) {
			n++
		}
		row := versionRow{GapState: "gone", Gap: gapWords(gaps[n-1].Number, gaps[0].Number, "was", "were") + " deleted permanently"}
		if gaps[0].InTrash {
			row.GapState, row.Gap = "trash", gapWords(gaps[n-1].Number, gaps[0].Number, "is", "are")+" in Trash"
			row.InTrash = p.Base() + "/settings/trash?type=version&q=" + p.Project.Slug
		}
		row.Number = gaps[0].Number
		p.Rows = append(p.Rows, row)
		gaps = gaps[n:]
	}
	slices.SortStableFunc(p.Rows, func(x, y versionRow) int { return int(y.Number - x.Number) })
}

func gapWords(from, to int64, one, many string) string {
	if from == to {
		return fmt.Sprintf("%d %s", from, one)
	}
	return fmt.Sprintf("%d to %d %s", from, to, many)
}

// trainings returns the trainings of a project, newest first, by version.
func (a *app) trainings(v *visit, project string) (map[string][]trainingRow, error) {
	all, err := a.Queue.Latest(v.Context(), v.by, project)
	if err != nil {
		return nil, err
	}
	spent, err := a.Queue.Spent(v.Context(), v.by, all)
	rows := map[string][]trainingRow{}
	for _, t := range all {
		rows[t.Version] = append(rows[t.Version], trainingRow{t, spent[t.ID]})
	}
	return rows, err
}

// inFlight returns the trainings of a project that have not ended, or of one of
// its versions.
func (a *app) inFlight(v *visit, project string, number int64) (rows []trainingRow, err error) {
	all, err := a.Queue.InFlight(v.Context(), v.by, project)
	if err != nil {
		return nil, err
	}
	spent, err := a.Queue.Spent(v.Context(), v.by, all)
	for _, t := range all {
		if number == 0 || t.VersionNumber == number {
			rows = append(rows, trainingRow{t, spent[t.ID]})
		}
	}
	return rows, err
}

// version leads to the row of a version: links that clients print name it.
func (a *app) version(w http.ResponseWriter, v *visit) error {
	n, err := numberOf(v)
	if err != nil {
		return err
	}
	d, err := a.Press.Version(v.Context(), v.by, chi.URLParam(v.Request, "project"), n)
	if err != nil {
		return err
	}
	v.to = fmt.Sprintf("/app/%s/%s/versions#version-%d", v.ws.Slug, d.Project.Slug, n)
	return nil
}

// models leads to the versions, which say what models they have.
func (a *app) models(w http.ResponseWriter, v *visit) error {
	p, err := a.Catalog.Project(v.Context(), v.by, chi.URLParam(v.Request, "project"))
	if err != nil {
		return err
	}
	v.to = "/app/" + v.ws.Slug + "/" + p.Slug + "/versions"
	return nil
}

func numberOf(v *visit) (int64, error) {
	s := chi.URLParam(v.Request, "n")
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, cullet.E(cullet.NotFound, "there is no version %.40s", s)
	}
	return n, nil
}

func (a *app) resumeVersion(w http.ResponseWriter, v *visit) error {
	n, err := numberOf(v)
	if err != nil {
		return err
	}
	d, err := a.Press.Resume(v.Context(), v.by, chi.URLParam(v.Request, "project"), n)
	if err != nil {
		return err
	}
	a.say(v, flash{Text: fmt.Sprintf("Version %d is being generated again.", n)})
	v.to = "/app/" + v.ws.Slug + "/" + d.ProjectSlug + "/versions"
	return nil
}

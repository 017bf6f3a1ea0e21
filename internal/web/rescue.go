package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trash"
)

// This file brings back what a stray script, or somebody, deleted in a time, as one
// operation.

// Bounds of what the pages of a rescue list; all are counted.
const (
	mostPlanned = 100
	mostEarlier = 10
)

// rescuePage asks what is to be brought back, and shows the plan before it is done.
type rescuePage struct {
	*frame
	Query   rescueQuery
	Names   []string // of who deleted something lately
	MeansIs []option
	Types   []option
	Error   string
	Planned bool
	Steps   []rescueStep // some of the plan, parents first
	Counts  []typeCount  // of what comes back
	Restore int
	Added   int
	Renamed int // of what comes back, under another slug
	Left    int
	More    int    // steps that are not listed
	Pinned  string // what is deleted from now on is no part of it
	Earlier []trash.RescueReport
}

// rescueQuery is the filter as it was filled in.
type rescueQuery struct {
	Who, Means, From, To string
	Of                   []string // types
	Rename               bool
}

// rescueStep is one item of the plan.
type rescueStep struct {
	trash.Step
	As  string // free slug that it comes back under
	Out string // why it is left out
}

type typeCount struct {
	Type  cullet.Trashable
	Value int
}

func readRescue(v *visit) rescueQuery {
	q := rescueQuery{Who: strings.TrimSpace(v.FormValue("who")), Means: v.FormValue("means"), From: strings.TrimSpace(v.FormValue("from")),
		To: strings.TrimSpace(v.FormValue("to")), Rename: v.FormValue("rename") != ""}
	q.Of = v.Form["type"]
	return q
}

// filter is the query as the use case takes it.
func (q rescueQuery) filter() (f trash.RescueFilter, err error) {
	f = trash.RescueFilter{By: q.Who}
	if q.Means != "" {
		if f.Means = cullet.Means(q.Means); f.Means != cullet.ByWeb && f.Means != cullet.ByKey {
			return f, cullet.E(cullet.Invalid, "things are deleted in the web app or by a key; %.20q is neither", q.Means)
		}
	}
	for _, t := range q.Of {
		f.Types = append(f.Types, cullet.Trashable(t))
	}
	if f.From, err = timeOf(q.From); err == nil {
		f.To, err = timeOf(q.To)
	}
	return f, err
}

// timeOf reads a time as a browser's field or an address writes it, in UTC.
func timeOf(s string) (t time.Time, err error) {
	if s == "" {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339Nano, time.DateOnly} {
		if t, err = time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return t, cullet.E(cullet.Invalid, "%.40q is no time; give one such as 2026-12-24T07:10, in UTC", s)
}

// rescueForm asks, and with an answer in the address shows the plan. Nothing is changed.
func (a *app) rescueForm(w http.ResponseWriter, v *visit) error {
	if err := a.mayRestore(v); err != nil {
		return err
	}
	page := rescuePage{Query: readRescue(v)}
	if !v.Form.Has("who") {
		return a.askRescue(w, v, http.StatusOK, page)
	}
	f, err := page.Query.filter()
	if err == nil {
		err = a.planRescue(v, f, &page)
	}
	if cullet.CodeOf(err) == cullet.Invalid {
		page.Error = sentence(cullet.MessageOf(err))
		return a.askRescue(w, v, http.StatusUnprocessableEntity, page)
	} else if err != nil {
		return err
	}
	return a.askRescue(w, v, http.StatusOK, page)
}

func (a *app) askRescue(w http.ResponseWriter, v *visit, status int, page rescuePage) (err error) {
	if page.frame, err = a.inside(v, "trash", "Restore what somebody deleted", "Trash"); err != nil {
		return err
	}
	lately, err := a.Bin.Find(v.Context(), v.by, store.TrashFilter{Sort: "deleted", Limit: mostRestored})
	if err != nil {
		return err
	}
	for _, t := range lately.Items {
		if t.DeletedByName != "" && !slices.Contains(page.Names, t.DeletedByName) {
			page.Names = append(page.Names, t.DeletedByName)
		}
	}
	if page.Earlier, err = a.Bin.LastRescues(v.Context(), v.by, mostEarlier); err != nil {
		return err
	}
	for _, m := range []cullet.Means{cullet.ByKey, cullet.ByWeb} {
		page.MeansIs = append(page.MeansIs, option{Value: string(m), Text: means(m), On: page.Query.Means == string(m)})
	}
	for _, t := range cullet.TrashableTypes() {
		if page.Trash.ByType[t].Items > 0 || slices.Contains(page.Query.Of, string(t)) {
			page.Types = append(page.Types, option{Value: string(t), Text: typeNames(t), On: slices.Contains(page.Query.Of, string(t))})
		}
	}
	return a.render(w, v, status, "rescue", page)
}

// planRescue fills in what would come back and what would not.
func (a *app) planRescue(v *visit, f trash.RescueFilter, page *rescuePage) error {
	plan, err := a.Bin.RescuePlan(v.Context(), v.by, f)
	if err != nil {
		return err
	}
	if pin := v.now.Add(time.Microsecond); f.To.IsZero() || f.To.After(pin) {
		f.To = pin
	}
	page.Planned, page.Pinned = true, f.To.Format(time.RFC3339Nano)
	page.judge(plan)
	return nil
}

// judge says of each step what becomes of it. Parents come first, so that what lies
// below one that is left out is known to be left out too (R2).
func (p *rescuePage) judge(plan []trash.Step) {
	out := map[string]string{}
	counts := map[cullet.Trashable]int{}
	for _, s := range plan {
		step := rescueStep{Step: s, Out: s.Refused}
		switch parent, is := out[s.Item.ParentItem]; {
		case step.Out != "":
		case is:
			step.Out = "it belongs to " + parent + ", which is left out"
		case s.Conflict != nil && p.Query.Rename:
			step.As = s.Conflict.Free
			p.Renamed++
		case s.Conflict != nil:
			step.Out = "its slug was taken meanwhile; " + s.Conflict.Free + " is free"
		}
		if step.Out != "" {
			out[s.Item.ID] = s.Item.Handle()
			p.Left++
		} else {
			counts[s.Item.Type]++
			p.Restore++
			if s.Added {
				p.Added++
			}
		}
		if len(p.Steps) < mostPlanned {
			p.Steps = append(p.Steps, step)
		}
	}
	for _, t := range cullet.TrashableTypes() {
		if counts[t] > 0 {
			p.Counts = append(p.Counts, typeCount{t, counts[t]})
		}
	}
	p.More = len(plan) - len(p.Steps)
}

// rescue begins it.
func (a *app) rescue(w http.ResponseWriter, v *visit) error {
	if err := a.mayRestore(v); err != nil {
		return err
	}
	q := readRescue(v)
	f, err := q.filter()
	if err == nil {
		var r store.Rescue
		if r, err = a.Bin.Rescue(v.Context(), v.by, f, q.Rename); err == nil {
			v.to = a.trashBase(v) + "/rescues/" + r.ID
			return nil
		}
	}
	if cullet.CodeOf(err) == cullet.Invalid {
		return a.askRescue(w, v, http.StatusUnprocessableEntity, rescuePage{Query: q, Error: sentence(cullet.MessageOf(err))})
	}
	return err
}

// rescueReportPage is the progress and the report of a rescue.
type rescueReportPage struct {
	*frame
	Report trash.RescueReport
	Asked  string // what was asked for, in words
	Share  float64
	Took   string
	More   int64 // items that are not listed
}

func (a *app) rescueReport(w http.ResponseWriter, v *visit) error {
	r, err := a.Bin.RescueReport(v.Context(), v.by, chi.URLParam(v.Request, "rescue"))
	if err != nil {
		return err
	}
	f, err := a.inside(v, "trash", "Restoring what somebody deleted", "Trash")
	if err != nil {
		return err
	}
	page := rescueReportPage{frame: f, Report: r, Share: rescued(r), Asked: rescueWords(r.Filter), More: r.Items - int64(len(r.Listed))}
	if f.Live = r.State == store.RescueRunning; !f.Live {
		page.Took = span(r.EndedAt.Sub(r.BeganAt))
	}
	return a.render(w, v, http.StatusOK, "rescue-report", page)
}

// rescued says how far a rescue is, between 0 and 1.
func rescued(r trash.RescueReport) float64 {
	if r.Items == 0 {
		return 1
	}
	return float64(r.Restored+r.Left) / float64(r.Items)
}

// rescueWords says what a rescue was asked for.
func rescueWords(filter string) string {
	var f trash.RescueFilter
	if err := json.Unmarshal([]byte(filter), &f); err != nil {
		return filter
	}
	words := []string{"deleted"}
	if f.By != "" {
		words = append(words, "by "+f.By)
	}
	if f.Means != "" {
		words = append(words, means(f.Means))
	}
	if !f.From.IsZero() {
		words = append(words, "from "+stamp(f.From))
	}
	if !f.To.IsZero() {
		words = append(words, "until "+stamp(f.To))
	}
	if len(f.Types) > 0 {
		var names []string
		for _, t := range f.Types {
			names = append(names, strings.ToLower(typeNames(t)))
		}
		words = append(words, "("+strings.Join(names, ", ")+")")
	}
	return strings.Join(words, " ")
}

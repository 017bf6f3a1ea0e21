package web

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/store"
)

// purgePage asks whether to delete permanently, and says what that comes to.
type purgePage struct {
	*frame
	Modal    bool
	Plan     purge.Plan
	All      bool
	Heading  string
	Counts   []blast
	Bytes    blastBytes
	Expire   string // when it would go by itself
	Stale    string // why the last confirmation did not count
	Error    string // what was given does not fit
	Field    string // typed or password
	Typed    string // what was typed last
	Back     string // the list's query
	Cancel   string
	Workflow int64
}

// blast is a line of what goes.
type blast struct {
	ID    string
	Name  string
	Value int64
}

// choosePurge leads from marked items to the confirmation.
func (a *app) choosePurge(w http.ResponseWriter, v *visit) error {
	items, err := a.chosen(v)
	if err != nil {
		return err
	}
	if v.hx {
		return a.askPurge(w, v, http.StatusOK, purge.Choice{Items: items}, purgePage{})
	}
	q := url.Values{"item": items, "back": {v.PostFormValue("back")}}
	v.to = address("/app/"+v.ws.Slug+"/settings/trash/purge", q)
	return nil
}

// choice reads what is to be deleted. It differs from what a restore reads in that
// all means whatever is in Trash.
func (a *app) choice(v *visit) (purge.Choice, error) {
	if v.FormValue("all") != "" {
		return purge.Choice{All: true}, nil
	}
	items, err := a.chosen(v)
	return purge.Choice{Items: items}, err
}

func (a *app) purgeDialog(w http.ResponseWriter, v *visit) error {
	c, err := a.choice(v)
	if err != nil {
		return err
	}
	return a.askPurge(w, v, http.StatusOK, c, purgePage{})
}

// askPurge issues a new confirmation and shows what it confirms (P4).
func (a *app) askPurge(w http.ResponseWriter, v *visit, status int, c purge.Choice, page purgePage) error {
	plan, err := a.Purge.Prepare(v.Context(), v.by, v.ws.Slug, c)
	if err != nil {
		return err
	}
	page.Plan, page.All = plan, c.All
	switch {
	case c.All:
		page.Heading = "Empty Trash?"
	case len(plan.Items) == 1:
		page.Heading = "Delete " + plan.Items[0].Handle() + " permanently?"
	case len(plan.Items) == 0:
		page.Heading = "Nothing to delete"
	default:
		page.Heading = fmt.Sprintf("Delete %s permanently?", count(len(plan.Items), "item"))
	}
	workflows := int64(0)
	for _, list := range [][]cullet.TrashItem{plan.Items, plan.Children} {
		for _, t := range list {
			if t.Type == cullet.TrashWorkflow {
				workflows++
			}
		}
	}
	s := plan.Sums
	page.Counts = []blast{{"items", "Items of Trash", int64(len(plan.Items) + len(plan.Children))}, {"images", "Images", s.Images},
		{"annotations", "Annotations", s.Annotations}, {"versions", "Versions", s.Versions}, {"models", "Models", s.Models},
		{"exports", "Exports", s.Exports}, {"trainings", "Trainings", s.Trainings}, {"workflows", "Workflows", workflows}}
	page.Expire = expireWords(plan, v.now)
	if page.Bytes, err = a.blastBytes(v, plan); err != nil {
		return err
	}
	if page.frame, err = a.inside(v, "trash", strings.TrimSuffix(page.Heading, "?"), "Trash"); err != nil {
		return err
	}
	page.Modal, page.Back, page.Cancel = v.hx, v.FormValue("back"), a.trashURL(v)
	return a.render(w, v, status, "purge", page)
}

// expireWords says when the items would go by themselves.
func expireWords(p purge.Plan, now time.Time) string {
	switch {
	case len(p.Items) == 0 || !p.FirstDue.After(now):
		return ""
	case len(p.Items)+len(p.Children) == 1:
		return fmt.Sprintf("It would be deleted by itself on %s (%s). There is no need to hurry.", day(p.FirstDue), fromNow(p.FirstDue, now))
	case day(p.FirstDue) == day(p.LastDue):
		return fmt.Sprintf("They would be deleted by themselves on %s (%s). There is no need to hurry.", day(p.FirstDue), fromNow(p.FirstDue, now))
	}
	return fmt.Sprintf("They would be deleted by themselves between %s and %s. There is no need to hurry.", day(p.FirstDue), day(p.LastDue))
}

// purge orders what was confirmed. What does not fit is refused and audited by the
// use case; the dialog then shows the present numbers under a new confirmation.
func (a *app) purge(w http.ResponseWriter, v *visit) error {
	typed, password := v.PostFormValue("typed"), v.PostFormValue("password")
	o, err := a.Purge.Order(v.Context(), v.by, purge.Confirmation{Token: v.PostFormValue("token"), Typed: typed, Password: password})
	if err == nil {
		v.to = "/app/" + v.ws.Slug + "/settings/trash/purges/" + o.ID
		return nil
	}
	page := purgePage{Typed: typed}
	var stale *purge.Stale
	status := statusOf(err)
	switch {
	case errors.As(err, &stale):
		page.Stale, page.Typed = sentence(cullet.MessageOf(err)), ""
	case cullet.CodeOf(err) == cullet.Invalid:
		page.Error, page.Field, status = sentence(cullet.MessageOf(err)), "typed", http.StatusUnprocessableEntity
	case v.by.CanDo(cullet.PurgeItems) && (cullet.CodeOf(err) == cullet.Forbidden || cullet.CodeOf(err) == cullet.TooMany):
		page.Error, page.Field = sentence(cullet.MessageOf(err)), "password"
	default:
		return err
	}
	c, cerr := a.choice(v)
	if cerr != nil {
		return err // there is nothing to show anew
	}
	return a.askPurge(w, v, status, c, page)
}

// purgeReportPage is the progress and the report of an order.
type purgeReportPage struct {
	*frame
	Report    purge.Report
	State     string
	Share     float64
	Countdown int64 // seconds until it begins, 0 where it has
	Total     int
	Current   string // what is being deleted
	Rate      string
	ETA       string
	Duration  string
	MayStop   bool
	Problems  []store.OrderItem
	Stop      string // address
}

func (a *app) purgeReport(w http.ResponseWriter, v *visit) error {
	r, err := a.Purge.Report(v.Context(), v.by, chi.URLParam(v.Request, "order"))
	if err != nil {
		return err
	}
	f, err := a.inside(v, "trash", "Permanent deletion", "Trash")
	if err != nil {
		return err
	}
	page := purgeReportPage{frame: f, Report: r, State: r.State, Share: shareOf(r), Total: len(r.Items),
		Stop: "/app/" + v.ws.Slug + "/settings/trash/purges/" + r.ID + "/stop"}
	running := r.State == store.OrderScheduled || r.State == store.OrderRunning
	f.Live, page.MayStop = running, running && f.MayPurge
	if r.State == store.OrderScheduled {
		page.Countdown = max(0, int64(math.Ceil(r.StartsAt.Sub(v.now).Seconds())))
	}
	for _, i := range r.Items {
		if i.Result == store.ResultRunning {
			page.Current = i.Name
		}
		if i.Reason != "" {
			page.Problems = append(page.Problems, i)
		}
	}
	page.measure(v.now)
	return a.render(w, v, http.StatusOK, "purge-report", page)
}

// measure says how fast it goes and how long it takes, once that means anything.
func (p *purgeReportPage) measure(now time.Time) {
	r := p.Report
	if r.BeganAt.IsZero() {
		return
	}
	if !r.EndedAt.IsZero() {
		p.Duration = span(r.EndedAt.Sub(r.BeganAt))
		return
	}
	took := now.Sub(r.BeganAt)
	if took < 5*time.Second || p.Share <= 0 {
		return
	}
	p.Rate = fmt.Sprintf("%s rows a second", num(int64(float64(r.Sums.Rows)/took.Seconds())))
	p.ETA = "about " + span(time.Duration(float64(took)*(1-p.Share)/p.Share)) + " left"
}

func (a *app) stopPurge(w http.ResponseWriter, v *visit) error {
	id := chi.URLParam(v.Request, "order")
	if err := a.Purge.Stop(v.Context(), v.by, id); err != nil {
		return err
	}
	v.to = "/app/" + v.ws.Slug + "/settings/trash/purges/" + id
	return nil
}

// shareOf says how far an order is, between 0 and 1. It never goes back.
func shareOf(r purge.Report) float64 {
	if len(r.Items) == 0 {
		return 1
	}
	done := 0.0
	for _, i := range r.Items {
		done += shareOfItem(i)
	}
	return done / float64(len(r.Items))
}

func shareOfItem(i store.OrderItem) float64 {
	switch i.Result {
	case store.ResultDeleted, store.ResultKept:
		return 1
	case store.ResultRunning:
		if i.Rows > 0 {
			return min(0.99, float64(i.Done.Rows)/float64(i.Rows))
		}
	}
	return 0
}

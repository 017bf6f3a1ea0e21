package web

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/trash"
)

// This file has items stay in Trash longer: held, released or postponed (C8).

// The acts, as their addresses name them.
const (
	actHold     = "hold"
	actRelease  = "release"
	actPostpone = "postpone"
)

// keepWords are what pages call each act.
var keepWords = map[string]struct{ ask, did string }{
	actHold:     {"Hold", "held"},
	actRelease:  {"Release", "released"},
	actPostpone: {"Postpone", "postponed"},
}

// mostNamed is how many items a dialog names before it counts the rest.
const mostNamed = 12

// keepPage asks how items are to stay longer.
type keepPage struct {
	*frame
	Modal   bool
	Act     string
	Heading string
	Items   []keepLine // that it is done to
	Left    []keepLine // that it cannot be done to, and why
	Reason  string
	Choice  string // days more, "" where a day is given
	Choices []option
	Date    string
	MinDate string
	MaxDate string
	Most    time.Time // that can be chosen
	Preview keepPreview
	Error   string
	Field   string // id of the one that the error is about
	Back    string // the list's query
	Cancel  string
}

// keepLine is one item of the dialog.
type keepLine struct {
	cullet.TrashItem
	Until time.Time // its date afterwards
	Below string    // what holds a released one still
	Why   string    // it is left out
}

// keepPreview shows each item's date and the one after the act.
type keepPreview struct {
	Lines []keepLine
	More  int
}

func preview(lines []keepLine) keepPreview {
	if len(lines) <= mostNamed {
		return keepPreview{Lines: lines}
	}
	return keepPreview{lines[:mostNamed], len(lines) - mostNamed}
}

// chooseKeep leads from marked items to the act's dialog.
func (a *app) chooseKeep(w http.ResponseWriter, v *visit) error {
	if v.hx {
		return a.keepDialog(w, v)
	}
	items, err := a.chosen(v)
	if err != nil {
		return err
	}
	v.to = address(a.trashBase(v)+"/"+chi.URLParam(v.Request, "keep"), url.Values{"item": items, "back": {v.PostFormValue("back")}})
	return nil
}

func (a *app) trashBase(v *visit) string { return "/app/" + v.ws.Slug + "/settings/trash" }

func (a *app) keepDialog(w http.ResponseWriter, v *visit) error {
	if !v.by.CanDo(cullet.HoldItems) {
		return cullet.E(cullet.Forbidden, "only an administrator of the workspace can hold, release or postpone what is in Trash")
	}
	items, err := a.chosen(v)
	if err != nil {
		return err
	}
	return a.askKeep(w, v, http.StatusOK, items, keepPage{})
}

// askKeep shows what the act comes to.
func (a *app) askKeep(w http.ResponseWriter, v *visit, status int, items []string, page keepPage) (err error) {
	page.Act, page.Modal = chi.URLParam(v.Request, "keep"), v.hx
	page.Reason, page.Choice, page.Date = v.FormValue("reason"), v.FormValue("choice"), v.FormValue("date")
	if page.Choice == "" && page.Date == "" {
		page.Choice = "7"
	}
	for _, id := range items {
		l, err := a.keepLine(v, page.Act, id)
		if err != nil {
			return err
		}
		if l.Why != "" {
			page.Left = append(page.Left, l)
		} else {
			page.Items = append(page.Items, l)
		}
	}
	if page.Act == actPostpone {
		page.postpone(v)
	}
	page.Preview = preview(page.Items)
	if v.hx && v.Header.Get("HX-Target") == "postpone-preview" {
		return a.write(w, status, "keep", "postpone-preview", page)
	}
	page.Heading = keepWords[page.Act].ask + " " + count(len(page.Items), "item") + "?"
	switch {
	case len(page.Items) == 1:
		page.Heading = keepWords[page.Act].ask + " " + page.Items[0].Handle() + "?"
	case len(page.Items) == 0:
		page.Heading = "Nothing to " + page.Act
	}
	if page.frame, err = a.inside(v, "trash", strings.TrimSuffix(page.Heading, "?"), "Trash"); err != nil {
		return err
	}
	page.Back, page.Cancel = v.FormValue("back"), a.trashURL(v)
	return a.render(w, v, status, "keep", page)
}

// keepLine says what the act comes to for one item, or why it is left out. The use
// case decides again when the act is confirmed.
func (a *app) keepLine(v *visit, act, id string) (keepLine, error) {
	t, err := a.Bin.Item(v.Context(), v.by, id)
	l := keepLine{TrashItem: t, Until: t.EffectiveAt}
	switch {
	case cullet.CodeOf(err) == cullet.Internal:
		return l, err
	case err != nil:
		l.ID, l.Why = id, cullet.MessageOf(err)
	case t.State != cullet.Trashed:
		l.Why = "it is being deleted"
	case act == actHold && !t.HeldAt.IsZero():
		l.Why = fmt.Sprintf("it is held already, by %s: %s", t.HeldBy, t.HoldReason)
	case act == actRelease && t.HeldAt.IsZero() && t.HeldBelow != "":
		l.Why = "it is not held itself; it stays because " + t.HeldBelow + " below it is held"
	case act == actRelease && t.HeldAt.IsZero():
		l.Why = "it is not held"
	case act == actRelease:
		if floor := v.now.Add(cullet.ReleaseFloor); floor.After(l.Until) {
			l.Until = floor
		}
		l.Below = t.HeldBelow
	}
	return l, nil
}

// postponeChoices are how much longer, in days.
var postponeChoices = []string{"7", "30", "90"}

// postpone fills in the choices and the date that each item gets.
func (p *keepPage) postpone(v *visit) {
	for _, days := range postponeChoices {
		p.Choices = append(p.Choices, option{Value: days, Text: days + " days", On: p.Date == "" && days == p.Choice})
	}
	p.Most = v.now.Add(cullet.MostPostponed)
	p.MinDate, p.MaxDate = v.now.AddDate(0, 0, 1).Format(time.DateOnly), p.Most.Format(time.DateOnly)
	if len(p.Items) == 1 && p.Items[0].EffectiveAt.After(v.now) {
		p.MinDate = p.Items[0].EffectiveAt.AddDate(0, 0, 1).Format(time.DateOnly)
	}
	until, err := untilOf(v)
	for n := range p.Items {
		l := &p.Items[n]
		if err == nil {
			l.Until = until(l.TrashItem)
			l.Why = reason(trash.CheckLater(l.TrashItem, l.Until, v.now))
		} else {
			l.Why = cullet.MessageOf(err)
		}
	}
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return cullet.MessageOf(err)
}

// untilOf reads how much longer. A day that is given counts instead of the days more.
func untilOf(v *visit) (trash.Until, error) {
	if date := v.FormValue("date"); date != "" {
		at, err := time.Parse(time.DateOnly, date)
		if err != nil {
			return nil, cullet.E(cullet.Invalid, "%.40q is no day; give one such as 2026-12-24", date)
		}
		return trash.At(at), nil
	}
	choice := cmp.Or(v.FormValue("choice"), postponeChoices[0])
	if !slices.Contains(postponeChoices, choice) {
		return nil, cullet.E(cullet.Invalid, "choose how much longer: %s days, or a day", strings.Join(postponeChoices, ", "))
	}
	days, err := strconv.Atoi(choice)
	if err != nil {
		return nil, err // the choices are numbers
	}
	return func(t cullet.TrashItem) time.Time {
		from := t.EffectiveAt
		if v.now.After(from) { // it waits for the clock: longer than today is meant
			from = v.now
		}
		return from.AddDate(0, 0, days)
	}, nil
}

// keepItems does the act. A confirmation that does not fit shows the dialog again,
// with what was filled in.
func (a *app) keepItems(w http.ResponseWriter, v *visit) error {
	items, err := a.chosen(v)
	if err != nil {
		return err
	}
	act := chi.URLParam(v.Request, "keep")
	all, err := a.keepAll(v, act, items)
	if err == nil {
		err = allRefused(all)
	}
	if cullet.CodeOf(err) == cullet.Invalid {
		field := "hold-reason"
		if act == actPostpone {
			field = "postpone-date"
		}
		return a.askKeep(w, v, http.StatusUnprocessableEntity, items, keepPage{Error: sentence(cullet.MessageOf(err)), Field: field})
	} else if err != nil {
		return err
	}
	a.tellKept(v, act, all)
	v.to = a.trashURL(v)
	return nil
}

func (a *app) keepAll(v *visit, act string, items []string) ([]trash.Kept, error) {
	switch act {
	case actHold:
		return a.Bin.Hold(v.Context(), v.by, items, v.PostFormValue("reason"))
	case actRelease:
		return a.Bin.Release(v.Context(), v.by, items)
	}
	until, err := untilOf(v)
	if err != nil && v.by.CanDo(cullet.HoldItems) {
		return nil, err
	}
	return a.Bin.Postpone(v.Context(), v.by, items, until)
}

// allRefused is why none of the items could be kept, where what was filled in is to
// blame for all of them.
func allRefused(all []trash.Kept) error {
	var why []string
	for _, k := range all {
		if cullet.CodeOf(k.Err) != cullet.Invalid {
			return nil
		}
		if len(why) < mostNamed {
			why = append(why, cullet.MessageOf(k.Err))
		}
	}
	return cullet.E(cullet.Invalid, "%s", strings.Join(why, "; "))
}

// tellKept says what became of the items: in one line where all went well, else line
// by line.
func (a *app) tellKept(v *visit, act string, all []trash.Kept) {
	did := keepWords[act].did
	f := flash{Did: did}
	good := 0
	for _, k := range all {
		l := line{Type: k.Item.Type, Name: cmp.Or(k.Item.Handle(), k.ID), OK: k.Err == nil}
		if k.Err != nil {
			l.Why = sentence(cullet.MessageOf(k.Err))
		} else {
			good++
			l.Why = keptWords(act, k.Item)
		}
		f.Report = append(f.Report, l)
	}
	first := f.Report[0]
	switch {
	case len(all) == 1 && good == 1:
		f.Text, f.Report = sentence(did+" "+first.Name)+" "+first.Why, nil
	case len(all) == 1:
		f.Text, f.Bad, f.Item, f.Report = first.Why, true, all[0].ID, nil
	case good == len(all):
		f.Text, f.Report = sentence(did+" "+count(good, "item")), nil
	default:
		f.Text, f.Bad = fmt.Sprintf("%s %s; %s left out.", strings.TrimSuffix(sentence(did), "."), count(good, "item"), count(len(all)-good, "item")), true
	}
	a.say(v, f)
}

// keptWords says until when an item stays now.
func keptWords(act string, t cullet.TrashItem) string {
	switch {
	case act == actHold:
		return "Cleanup passes it by until it is released."
	case t.Held():
		return sentence(t.HeldWords())
	}
	return "Its cleanup is on " + stamp(t.EffectiveAt) + "."
}

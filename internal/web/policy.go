package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/trash"
)

// policyPage is Settings, Retention: how long Trash keeps things, and whether
// anything can be deleted before its date (C7, C9).
type policyPage struct {
	*frame
	Days       string // in the field, "" for the server's default
	Kept       string // how long that is
	Default    string // the server's
	MaxDays    int
	Protection purge.Protection
	Until      time.Time // when lifting it now would take effect
	History    []cullet.AuditEntry
	Saved      string
	Error      string
	WarnDays   string // in the field
	Email      bool
	WarnError  string
	Modal      bool // of the dialog
	Cancel     string
}

const day24 = 24 * time.Hour

// mostHistory is how many of the last changes the page shows.
const mostHistory = 20

// policyActs are what its history shows.
var policyActs = []cullet.Act{cullet.ActRetention, cullet.ActWarnings, cullet.ActProtect, cullet.ActUnprotect, cullet.ActKeepProtection}

func (a *app) policyBase(v *visit) string { return "/app/" + v.ws.Slug + "/settings/trash-policy" }

func (a *app) policy(w http.ResponseWriter, v *visit) error {
	return a.showPolicy(w, v, http.StatusOK, "policy", policyPage{})
}

// showPolicy renders the page, or the dialog that lifts the protection.
func (a *app) showPolicy(w http.ResponseWriter, v *visit, status int, template string, page policyPage) error {
	if !v.by.CanDo(cullet.SetPolicy) {
		return cullet.E(cullet.Forbidden, "only an owner of the workspace can change how long its Trash keeps things")
	}
	p, err := a.Bin.Policy(v.Context(), v.by)
	if err != nil {
		return err
	}
	if page.Protection, err = a.Purge.Protection(v.Context(), v.by); err != nil {
		return err
	}
	entries, err := a.Bin.History(v.Context(), v.by, v.ws.ID)
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(entries) {
		if slices.Contains(policyActs, e.Act) && len(page.History) < mostHistory {
			page.History = append(page.History, e)
		}
	}
	if page.frame, err = a.inside(v, "trash-policy", "Retention", "Settings"); err != nil {
		return err
	}
	if page.Flash != nil && !page.Flash.Bad {
		page.Saved, page.Flash = page.Flash.Text, nil
	}
	if page.Error == "" && p.Retention > 0 {
		page.Days = strconv.Itoa(int(p.Retention / day24))
	}
	if page.WarnError == "" {
		page.WarnDays, page.Email = daysOf(p.Warnings), p.Warnings.Email
	}
	page.Kept, page.Default, page.MaxDays = kept(a.Bin.RetentionOf(v.ws)), kept(p.Default), int(trash.MostRetention/day24)
	page.Until = v.now.Add(page.Protection.Wait)
	page.Modal, page.Cancel = v.hx, a.policyBase(v)
	return a.render(w, v, status, template, page)
}

// savePolicy sets the retention.
func (a *app) savePolicy(w http.ResponseWriter, v *visit) error {
	typed := strings.TrimSpace(v.PostFormValue("days"))
	days, err := 0, error(nil)
	if typed != "" {
		days, err = strconv.Atoi(typed)
		if most := int(trash.MostRetention / day24); err != nil || days < 1 || days > most {
			err = cullet.E(cullet.Invalid, "%.20q does not fit: give whole days from 1 to %d, or nothing for the server's default", typed, most)
			days = 0
		}
	}
	if err == nil || !v.by.CanDo(cullet.SetPolicy) {
		err = a.Bin.SetRetention(v.Context(), v.by, time.Duration(days)*day24)
	}
	if cullet.CodeOf(err) == cullet.Invalid {
		return a.showPolicy(w, v, http.StatusUnprocessableEntity, "policy", policyPage{Days: typed, Error: sentence(cullet.MessageOf(err))})
	} else if err != nil {
		return err
	}
	words := "The server's default counts"
	if days > 0 {
		words = "What is deleted from now on stays " + count(days, "day")
	}
	a.say(v, flash{Text: "Saved. " + words + "; what is in Trash keeps its date."})
	v.to = a.policyBase(v)
	return nil
}

// saveWarnings sets how people are warned before cleanup (C10).
func (a *app) saveWarnings(w http.ResponseWriter, v *visit) error {
	typed := strings.TrimSpace(v.PostFormValue("warn_days"))
	wanted, err := readWarnings(typed)
	wanted.Email = v.PostFormValue("email") != ""
	if err == nil || !v.by.CanDo(cullet.SetPolicy) {
		err = a.Bin.SetWarnings(v.Context(), v.by, wanted)
	}
	if cullet.CodeOf(err) == cullet.Invalid {
		return a.showPolicy(w, v, http.StatusUnprocessableEntity, "policy", policyPage{WarnDays: typed, Email: wanted.Email, WarnError: sentence(cullet.MessageOf(err))})
	} else if err != nil {
		return err
	}
	now, err := a.Bin.Policy(v.Context(), v.by)
	if err != nil {
		return err
	}
	words := "Nobody is warned"
	if len(now.Warnings.Days) > 0 {
		words = "People are warned " + now.Warnings.Words()
	}
	a.say(v, flash{Text: "Saved. " + words + "."})
	v.to = a.policyBase(v)
	return nil
}

// readWarnings reads days with commas or blanks between them.
func readWarnings(typed string) (w cullet.Warnings, err error) {
	for _, word := range strings.FieldsFunc(typed, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		d, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return w, cullet.E(cullet.Invalid, "%.20q is no number of days; give some such as 7, 1", word)
		}
		w.Days = append(w.Days, d)
	}
	return w, nil
}

// daysOf writes what readWarnings reads.
func daysOf(w cullet.Warnings) string {
	words := make([]string, len(w.Days))
	for n, d := range w.Days {
		words[n] = strconv.FormatInt(d, 10)
	}
	return strings.Join(words, ", ")
}

func (a *app) protect(_ http.ResponseWriter, v *visit) error {
	if err := a.Purge.Protect(v.Context(), v.by); err != nil {
		return err
	}
	a.say(v, flash{Text: "Purge protection is on."})
	v.to = a.policyBase(v)
	return nil
}

// keepProtection calls the lifting off, from the page or from the banner of any page.
func (a *app) keepProtection(_ http.ResponseWriter, v *visit) error {
	if err := a.Purge.KeepProtection(v.Context(), v.by); err != nil {
		return err
	}
	a.say(v, flash{Text: "Purge protection stays on."})
	v.to = "/app/" + v.ws.Slug
	if next := v.PostFormValue("next"); next != "" && within(next) {
		v.to = next
	}
	return nil
}

func (a *app) unprotectDialog(w http.ResponseWriter, v *visit) error {
	return a.showPolicy(w, v, http.StatusOK, "unprotect", policyPage{})
}

// unprotect asks for the protection to be lifted, with the password (C9).
func (a *app) unprotect(w http.ResponseWriter, v *visit) error {
	ends, err := a.Purge.Unprotect(v.Context(), v.by, v.PostFormValue("password"))
	switch code := cullet.CodeOf(err); {
	case err != nil && v.by.CanDo(cullet.SetPolicy) && (code == cullet.Forbidden || code == cullet.TooMany):
		return a.showPolicy(w, v, statusOf(err), "unprotect", policyPage{Error: sentence(cullet.MessageOf(err))})
	case err != nil:
		return err
	}
	text := "Nothing changed: its lifting was asked for before, or it is off."
	if !ends.IsZero() {
		text = fmt.Sprintf("Purge protection ends on %s. Any administrator can keep it on until then.", stamp(ends))
	}
	a.say(v, flash{Text: text})
	v.to = a.policyBase(v)
	return nil
}

// kept writes how long things stay, exactly: "30 days", "36 hours".
func kept(d time.Duration) string {
	switch {
	case d%day24 == 0:
		return count(int64(d/day24), "day")
	case d%time.Hour == 0:
		return count(int64(d/time.Hour), "hour")
	}
	return d.String()
}

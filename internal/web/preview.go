package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/account"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/store"
)

// This file says what permanent deletion would free before anybody does it.

// previewPage is a dry run of the next days of cleanup.
type previewPage struct {
	*frame
	account.Preview
	Days   string // in the field
	Error  string
	Counts []blast
	Shared string // with whom
	More   int64  // items that go beyond those listed
	Slow   bool   // it takes longer than a page may
}

const previewDays = "7"

func (a *app) preview(w http.ResponseWriter, v *visit) error {
	f, err := a.inside(v, "trash", "Dry run of cleanup", "Trash")
	if err != nil {
		return err
	}
	page, status := previewPage{frame: f, Days: previewDays}, http.StatusOK
	if v.URL.Query().Has("days") {
		page.Days = strings.TrimSpace(v.URL.Query().Get("days"))
	}
	days, err := strconv.ParseInt(page.Days, 10, 64)
	if most := int64(account.MostWithin / day24); err != nil || days < 0 || days > most {
		page.Error, status = fmt.Sprintf("%.20q does not fit: give whole days from 0 to %d.", page.Days, most), http.StatusUnprocessableEntity
		return a.render(w, v, status, "preview", page)
	}
	var counted bool
	if page.Preview, counted, err = a.weigh(v, account.Choice{Within: time.Duration(days) * day24}); err != nil {
		return err
	}
	s := page.Sums
	page.Counts = []blast{{"images", "Images", s.Images}, {"annotations", "Annotations", s.Annotations}, {"versions", "Versions", s.Versions},
		{"models", "Models", s.Models}, {"exports", "Exports", s.Exports}, {"trainings", "Trainings", s.Trainings}}
	page.Slow, page.Shared, page.More = !counted, sharedWith(page.Preview), page.Weight.Items-int64(len(page.Goes))
	return a.render(w, v, status, "preview", page)
}

// weigh does a dry run, for as long as a page may take; false: it took longer.
func (a *app) weigh(v *visit, c account.Choice) (p account.Preview, counted bool, err error) {
	ctx, cancel := context.WithTimeout(v.Context(), a.Patience)
	defer cancel()
	p, err = a.Book.Preview(ctx, v.by, c)
	if err != nil && ctx.Err() != nil && v.Context().Err() == nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return account.Preview{}, false, nil
	}
	return p, err == nil, err
}

// blastBytes is what a permanent deletion does in bytes. They inform, and nobody has
// to wait for them: what is confirmed are the items (P4).
type blastBytes struct {
	Counted bool
	Weight  store.Weight
	Shared  string // with whom, in words
	Foreign int
}

func (a *app) blastBytes(v *visit, plan purge.Plan) (b blastBytes, err error) {
	if len(plan.Items) == 0 {
		return b, nil
	}
	var c account.Choice
	for _, list := range [][]cullet.TrashItem{plan.Items, plan.Children} {
		for _, t := range list {
			c.Items = append(c.Items, t.ID)
		}
	}
	n := len(c.Items)
	if n > account.MostItems {
		c = account.Choice{Within: account.MostWithin} // all of the Trash, if nothing but holds keeps any of it
	}
	p, counted, err := a.weigh(v, c)
	if err != nil || !counted || p.Weight.Items != int64(n) {
		return b, err
	}
	return blastBytes{Counted: true, Weight: p.Weight, Shared: sharedWith(p), Foreign: p.Foreign}, nil
}

// sharedWith names who else uses the bytes that stay: the projects of the workspace by
// name, and of others just how many there are.
func sharedWith(p account.Preview) string {
	if p.Weight.SharedFiles == 0 {
		return ""
	}
	var who []string
	for _, s := range p.Sharers {
		name := s.Slug
		if s.Trashed {
			name += " (in Trash)"
		}
		who = append(who, name)
	}
	if p.Foreign > 0 {
		who = append(who, count(p.Foreign, "project")+" of other workspaces")
	}
	words := listed(who)
	if len(p.Sharers)+p.Foreign >= account.MostShared {
		words += ", and perhaps more"
	}
	if words == "" {
		words = "something else"
	}
	return fmt.Sprintf("%s is also used by %s and stays.", size(p.Weight.SharedBytes), words)
}

// listed joins words as a sentence does: "a, b and c".
func listed(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

package web

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/trash"
)

// mostRestored is how many items one form brings back.
const mostRestored = 500

// restorePage is the plan of a restore that does not go by itself: parents come
// first (R2), a slug was taken (R3), or there are several.
type restorePage struct {
	*frame
	Modal   bool
	Kind    string // parents, conflict, plan
	Item    cullet.TrashItem
	Parent  string // that lies in Trash, as a person calls it
	Steps   []restoreStep
	Restore int   // steps that can be done
	Added   int   // of them parents that were not asked for
	Bytes   int64 //
	Left    int64 // items in Trash beyond those of the plan
	Items   []string
	Taken   *cullet.SlugTaken
	Other   cullet.Project // that has the slug, of a project
	OtherWF cullet.Workflow
	Slug    string // in the field
	Error   string
	Back    string // the list's query
	Cancel  string // where cancelling goes
}

// restoreStep is one line of the plan.
type restoreStep struct {
	trash.Step
	Number int
	Slug   string // in its field, where its own is taken
	Error  string
}

// restoreDialog shows the plan for the items in the address.
func (a *app) restoreDialog(w http.ResponseWriter, v *visit) error {
	if err := a.mayRestore(v); err != nil {
		return err
	}
	items, err := a.chosen(v)
	if err != nil {
		return err
	}
	return a.plan(w, v, http.StatusOK, items, nil)
}

func (a *app) mayRestore(v *visit) error { return v.by.Allow(cullet.ProjectUpdate) }

// chosen returns the ids of the items that a form or an address names: one by its
// own button, all, or those that were marked.
func (a *app) chosen(v *visit) ([]string, error) {
	if one := v.FormValue("only"); one != "" {
		return []string{one}, nil
	}
	if v.FormValue("all") != "" {
		all, err := a.Bin.List(v.Context(), v.by)
		if err != nil {
			return nil, err
		}
		var items []string
		for _, t := range all {
			if t.State == cullet.Trashed && len(items) < mostRestored {
				items = append(items, t.ID)
			}
		}
		return items, nil
	}
	var items []string
	for _, id := range v.Form["item"] {
		if id != "" && !slices.Contains(items, id) {
			items = append(items, id)
		}
	}
	if len(items) == 0 {
		return nil, cullet.E(cullet.Invalid, "nothing is chosen; mark items in the list first")
	}
	if len(items) > mostRestored {
		return nil, cullet.E(cullet.TooLarge, "%d items are chosen; %d is the most at once", len(items), mostRestored)
	}
	return items, nil
}

// restore brings items back. One without an obstacle comes back at once; else the
// dialog shows the way.
func (a *app) restore(w http.ResponseWriter, v *visit) error {
	if err := a.mayRestore(v); err != nil {
		return err
	}
	items, err := a.chosen(v)
	if err != nil {
		return err
	}
	confirmed := v.PostFormValue("confirmed") != ""
	if len(items) == 1 && !confirmed {
		return a.restoreOne(w, v, items[0])
	}
	slugs := map[string]string{}
	for _, id := range v.PostForm["planned"] {
		slugs[id] = strings.TrimSpace(v.PostFormValue("slug-" + id))
	}
	if !confirmed {
		// An undo of several goes at once where nothing stands in its way.
		plan, err := a.Bin.Plan(v.Context(), v.by, items)
		if err != nil {
			return err
		}
		if v.PostFormValue("undo") == "" || slices.ContainsFunc(plan, func(s trash.Step) bool { return s.Added || s.Conflict != nil || s.Refused != "" }) {
			return a.plan(w, v, http.StatusOK, items, nil)
		}
	} else if errs, err := a.checkSlugs(v, items, slugs); err != nil {
		return err
	} else if len(errs) > 0 {
		return a.plan(w, v, http.StatusConflict, items, errs)
	}
	outcomes, err := a.Bin.RestoreAll(v.Context(), v.by, items, slugs)
	if err != nil {
		return err
	}
	a.tell(v, outcomes)
	v.to = a.afterRestore(v)
	return nil
}

// afterRestore is where a restore leads: back to the list, or where an undo was
// pressed.
func (a *app) afterRestore(v *visit) string {
	if next := v.PostFormValue("next"); next != "" && within(next) {
		return next
	}
	return a.trashURL(v)
}

func (a *app) restoreOne(w http.ResponseWriter, v *visit, id string) error {
	slug := strings.TrimSpace(v.PostFormValue("slug"))
	r, err := a.Bin.RestoreItem(v.Context(), v.by, id, slug)
	var parent *cullet.ParentTrashed
	var taken *cullet.SlugTaken
	switch {
	case err == nil:
		a.tell(v, []trash.Outcome{{Step: trash.Step{Item: r.Item}, Restored: r}})
	case errors.As(err, &parent):
		return a.plan(w, v, http.StatusConflict, []string{id}, nil)
	case errors.As(err, &taken):
		return a.conflict(w, v, id, taken, slug, "")
	case slug != "" && cullet.CodeOf(err) == cullet.Invalid:
		return a.conflict(w, v, id, nil, slug, cullet.MessageOf(err))
	case cullet.CodeOf(err) == cullet.Conflict || cullet.CodeOf(err) == cullet.NotFound:
		a.say(v, flash{Text: sentence(cullet.MessageOf(err)), Bad: true, Item: id})
	default:
		return err
	}
	v.to = a.afterRestore(v)
	return nil
}

// conflict shows that the slug is taken, with a free one to come back under (R3).
func (a *app) conflict(w http.ResponseWriter, v *visit, id string, taken *cullet.SlugTaken, typed, why string) error {
	t, err := a.Bin.Item(v.Context(), v.by, id)
	if err != nil {
		return err
	}
	p := restorePage{Kind: "conflict", Item: t, Items: []string{id}, Slug: typed, Error: sentence(why)}
	if taken == nil || taken.Slug != t.Slug {
		// What was typed does not go; who has the thing's own slug is told still.
		plan, err := a.Bin.Plan(v.Context(), v.by, []string{id})
		if err != nil {
			return err
		}
		if taken != nil {
			p.Error = sentence(fmt.Sprintf("%q is taken too", taken.Slug))
		}
		for _, s := range plan {
			if s.Item.ID == id {
				taken = cmp.Or(s.Conflict, taken)
			}
		}
	}
	if taken != nil {
		p.Taken, p.Slug = taken, cmp.Or(typed, taken.Free)
		a.whoHas(v, &p)
	}
	return a.show(w, v, http.StatusConflict, p)
}

// whoHas looks up the thing that has the slug now. It may be gone again.
func (a *app) whoHas(v *visit, p *restorePage) {
	if p.Item.Type == cullet.TrashWorkflow {
		p.OtherWF, _ = a.Shelf.Get(v.Context(), v.by, p.Taken.Owner)
		return
	}
	d, _ := a.Catalog.Project(v.Context(), v.by, p.Taken.Owner)
	p.Other = d.Project
}

// plan shows what comes back in which order. Errs says what is wrong with a slug
// that was typed, by item.
func (a *app) plan(w http.ResponseWriter, v *visit, status int, items []string, errs map[string]string) error {
	steps, err := a.Bin.Plan(v.Context(), v.by, items)
	if err != nil {
		return err
	}
	if len(steps) == 0 {
		return cullet.E(cullet.Conflict, "what was chosen is not in Trash any more; it was restored or deleted permanently meanwhile")
	}
	p := restorePage{Kind: "plan", Items: items}
	for n, s := range steps {
		step := restoreStep{Step: s, Number: n + 1, Error: errs[s.Item.ID]}
		if s.Conflict != nil {
			step.Slug = cmp.Or(strings.TrimSpace(v.FormValue("slug-"+s.Item.ID)), s.Conflict.Free)
		}
		p.Steps = append(p.Steps, step)
		if s.Refused == "" {
			p.Restore++
			p.Bytes += s.Item.Contents.Bytes
		}
		if s.Added {
			p.Added++
		}
		if len(items) == 1 && s.Item.ID == items[0] {
			p.Item = s.Item
		}
	}
	if len(items) == 1 && p.Added > 0 {
		p.Kind, p.Parent = "parents", p.Item.ParentName
	}
	if len(items) == 1 && p.Added == 0 && steps[0].Conflict != nil {
		return a.conflict(w, v, items[0], steps[0].Conflict, "", "")
	}
	if v.FormValue("all") != "" {
		sum, err := a.Bin.Summary(v.Context(), v.by)
		if err != nil {
			return err
		}
		p.Left = sum.Items - int64(len(steps))
	}
	return a.show(w, v, status, p)
}

func (a *app) show(w http.ResponseWriter, v *visit, status int, p restorePage) error {
	f, err := a.inside(v, "trash", "Restore", "Trash")
	if err != nil {
		return err
	}
	p.frame, p.Modal, p.Back, p.Cancel = f, v.hx, v.FormValue("back"), a.trashURL(v)
	return a.render(w, v, status, "restore", p)
}

// checkSlugs says what is wrong with the slugs that the plan was filled in with,
// before anything is changed.
func (a *app) checkSlugs(v *visit, items []string, slugs map[string]string) (map[string]string, error) {
	steps, err := a.Bin.Plan(v.Context(), v.by, items)
	if err != nil {
		return nil, err
	}
	errs, used := map[string]string{}, map[string]bool{}
	for _, s := range steps {
		slug := cmp.Or(slugs[s.Item.ID], s.Item.Slug)
		if slug == "" || s.Refused != "" {
			continue
		}
		place := string(s.Item.Type) + " " + slug
		if used[place] {
			errs[s.Item.ID] = fmt.Sprintf("%q is given to another one of these.", slug)
			continue
		}
		used[place] = true
		if err := a.Bin.SlugFree(v.Context(), v.by, s.Item.Type, slug); cullet.CodeOf(err) == cullet.Internal {
			return nil, err
		} else if err != nil {
			errs[s.Item.ID] = sentence(cullet.MessageOf(err))
		}
	}
	return errs, nil
}

// tell says what came back: in one line where all did, else line by line.
func (a *app) tell(v *visit, outcomes []trash.Outcome) {
	var f flash
	var names []string
	good, cancelled := 0, 0
	for _, o := range outcomes {
		l := line{Type: o.Step.Item.Type, Name: o.Step.Item.Handle(), OK: o.Err == nil}
		if o.Err != nil {
			l.Why = sentence(cullet.MessageOf(o.Err))
			if cullet.CodeOf(o.Err) == cullet.Internal {
				a.Log.Error("an item could not be restored", "item", o.Step.Item.ID, "request", v.id, "err", o.Err)
			}
		} else {
			good++
			cancelled += len(o.Step.Item.Contents.Cancelled)
			l.URL, l.Why = restoredURL(v.ws.Slug, o.Restored), restoredWords(o.Restored)
			names = append(names, l.Name)
		}
		f.Report = append(f.Report, l)
	}
	switch {
	case good == len(outcomes) && good == 1:
		f.Text, f.Open, f.Report = "Restored "+names[0]+"."+f.Report[0].Why, f.Report[0].URL, nil
	case good == len(outcomes) && good <= 3:
		f.Text, f.Report = "Restored "+strings.Join(names, ", ")+".", nil
	case good == len(outcomes):
		f.Text, f.Report = "Restored "+count(good, "item")+".", nil
	default:
		f.Text, f.Bad = fmt.Sprintf("Restored %s; %s left out.", count(good, "item"), count(len(outcomes)-good, "item")), true
	}
	if cancelled == 1 {
		f.Text += " Its cancelled training stays cancelled."
	} else if cancelled > 1 {
		f.Text += " Cancelled trainings stay cancelled."
	}
	a.say(v, f)
}

// restoredWords says what is different from before, after a space.
func restoredWords(r trash.Restored) string {
	words := ""
	if r.WasSlug != "" {
		words += " It is called " + r.Slug + " now."
	}
	if r.AtRoot {
		words += " It is at the top level: its folder no longer exists."
	}
	return words
}

func restoredURL(ws string, r trash.Restored) string {
	switch r.Item.Type {
	case cullet.TrashProject:
		return "/app/" + ws + "/" + r.Slug
	case cullet.TrashVersion:
		return fmt.Sprintf("/app/%s/%s/%d", ws, r.Item.ProjectSlug, r.Item.Number)
	case cullet.TrashWorkflow:
		return "/app/" + ws + "/workflows/" + r.Slug
	}
	return ""
}

// slugCheckPage says whether a slug can be taken, while it is typed.
type slugCheckPage struct {
	State string // free, taken, bad
	Text  string
}

func (a *app) slugCheck(w http.ResponseWriter, v *visit) error {
	q := v.URL.Query()
	typ := cullet.Trashable(q.Get("type"))
	if typ != cullet.TrashProject && typ != cullet.TrashWorkflow {
		return cullet.E(cullet.Invalid, "a %.20q has no slug", typ)
	}
	slug := strings.TrimSpace(q.Get("slug"))
	page := slugCheckPage{"free", slug + " is free."}
	if err := a.Bin.SlugFree(v.Context(), v.by, typ, slug); err != nil {
		switch cullet.CodeOf(err) {
		case cullet.Conflict:
			page = slugCheckPage{"taken", sentence(cullet.MessageOf(err))}
		case cullet.Invalid:
			page = slugCheckPage{"bad", sentence(cullet.MessageOf(err))}
		default:
			return err
		}
	}
	return a.write(w, http.StatusOK, "restore", "slug-check", page)
}

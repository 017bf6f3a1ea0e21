package account

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// Choice is what a dry run looks at: some items, or with none what cleanup will come to
// within a time from now.
type Choice struct {
	Items  []string
	Within time.Duration
}

// Bounds of a dry run.
const (
	MostItems  = 1000                  // that can be named
	MostWithin = 3650 * 24 * time.Hour // ahead
	MostListed = 1000                  // items that the answer lists; all are counted
	MostShared = 10                    // projects that it names as sharers
)

// Preview is what permanent deletion would do: nothing is changed by it.
type Preview struct {
	At      time.Time // when it was counted
	DueBy   time.Time // up to this date; zero where items were named
	Goes    []cullet.TrashItem
	Stays   []Stays         // what would be skipped, and why
	Sums    cullet.Contents // of what goes, counted when it was deleted
	Weight  store.Weight    // files that would be freed, and files that stay because they are shared
	Sharers []store.Sharer  // projects that share them, of this workspace; some
	Foreign int             // more sharers, of which nothing may be told
}

// Stays is an item that would not go.
type Stays struct {
	ID     string
	Item   cullet.TrashItem // zero where it is not in Trash
	Reason string
}

// Preview says what permanent deletion of the choice would remove, how many bytes of
// files it would free, and what is shared and stays.
func (b *Book) Preview(ctx context.Context, by cullet.Actor, c Choice) (p Preview, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return p, err
	}
	switch {
	case len(c.Items) > MostItems:
		return p, cullet.E(cullet.Invalid, "%d items were named; %d is the most", len(c.Items), MostItems)
	case len(c.Items) == 0 && (c.Within < 0 || c.Within > MostWithin):
		return p, cullet.E(cullet.Invalid, "a dry run looks from 0 to %d days ahead", MostWithin/(24*time.Hour))
	}
	err = b.DB.View(ctx, func(tx *store.Tx) error {
		p = Preview{At: tx.Now}
		scope, err := p.choose(ctx, tx, by.Workspace, c)
		if err != nil || len(c.Items) > 0 && len(p.Goes) == 0 {
			return err
		}
		if p.Weight, err = tx.Weigh(ctx, by.Workspace, scope); err != nil {
			return err
		}
		if p.Weight.SharedFiles == 0 {
			return nil
		}
		return p.share(ctx, tx, by.Workspace, scope)
	})
	return p, err
}

// choose fills in what goes and what stays.
func (p *Preview) choose(ctx context.Context, tx *store.Tx, workspace string, c Choice) (store.Scope, error) {
	if len(c.Items) > 0 {
		return p.chooseNamed(ctx, tx, workspace, c.Items)
	}
	p.DueBy = tx.Now.Add(c.Within)
	return store.Scope{DueBy: p.DueBy}, p.chooseDue(ctx, tx, workspace)
}

// chooseNamed fills in the named items; what lies in Trash below a project by itself goes
// along with it, and is in the sums.
func (p *Preview) chooseNamed(ctx context.Context, tx *store.Tx, workspace string, ids []string) (scope store.Scope, err error) {
	named := map[string]bool{}
	var along []cullet.TrashItem
	for _, id := range ids {
		if named[id] {
			continue
		}
		named[id] = true
		t, err := tx.GetTrashItem(ctx, workspace, id)
		switch {
		case errors.Is(err, store.ErrNoRow):
			p.Stays = append(p.Stays, Stays{ID: id, Reason: "it is not in Trash"})
			continue
		case err != nil:
			return scope, err
		case t.State == cullet.Purging:
			p.Stays = append(p.Stays, Stays{id, t, "it is being deleted already"})
			continue
		case t.Held():
			p.Stays = append(p.Stays, Stays{id, t, t.HeldWords()})
			continue
		}
		p.Goes = append(p.Goes, t)
		scope.IDs = append(scope.IDs, id)
		if t.Type == cullet.TrashProject {
			below, err := tx.ItemsBelow(ctx, t.Target, "")
			if err != nil {
				return scope, err
			}
			along = append(along, below...)
		}
	}
	along = slices.DeleteFunc(along, func(t cullet.TrashItem) bool { return named[t.ID] })
	p.sum(append(along, p.Goes...))
	return scope, nil
}

// chooseDue fills in what cleanup comes to by the date, all of it in the sums, some of it
// listed. What stays is looked for by itself: however much is held, it hides nothing that goes.
func (p *Preview) chooseDue(ctx context.Context, tx *store.Tx, workspace string) error {
	var all []cullet.TrashItem
	for f := (store.TrashFilter{DueBy: p.DueBy, Free: true, Sort: "due", Asc: true, Limit: MostListed}); ; {
		page, err := tx.FindTrash(ctx, workspace, f)
		if err != nil {
			return err
		}
		for _, t := range page {
			if t.State == cullet.Purging {
				p.Stays = append(p.Stays, Stays{t.ID, t, "it is being deleted already"})
				continue
			}
			all = append(all, t)
		}
		if len(page) < MostListed {
			break
		}
		f.After = &page[len(page)-1]
	}
	held, err := tx.FindTrash(ctx, workspace, store.TrashFilter{DueBy: p.DueBy, Held: true, Sort: "due", Asc: true, Limit: MostListed})
	for _, t := range held {
		p.Stays = append(p.Stays, Stays{t.ID, t, t.HeldWords()})
	}
	p.sum(all)
	p.Goes = all[:min(len(all), MostListed)]
	return err
}

func (p *Preview) sum(all []cullet.TrashItem) {
	for _, t := range all {
		p.Sums.Add(t.Contents)
	}
}

// share names who else refers to files that would stay.
func (p *Preview) share(ctx context.Context, tx *store.Tx, workspace string, scope store.Scope) error {
	all, err := tx.Sharers(ctx, workspace, scope, MostShared)
	for _, s := range all {
		if s.Foreign {
			p.Foreign++
		} else {
			p.Sharers = append(p.Sharers, s)
		}
	}
	return err
}

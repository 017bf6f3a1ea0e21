package purge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"pgregory.net/rapid"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trash"
	"github.com/cullet-vision/cullet/internal/upload"
)

// What a client does to a project.
type act struct {
	project int
	what    string
	dies    int // the client dies after so many turns of the others; 0: it lives
}

// What it heard.
type heard string

const (
	done    heard = "done"
	refused heard = "refused"
	taken   heard = "the slug is taken"
	nothing heard = "nothing: it died"
)

// life is what a project is to people, one at a time.
type life struct {
	phase   cullet.TrashState // Active, Trashed, or Gone, from the moment its purge began
	held    bool
	due     bool // its date has come
	ordered bool // a person ordered its permanent deletion
}

// next says which lives an act that was heard so may lead to; none: it cannot have been.
func (l life) next(what string, h heard) []life {
	happens := func(can bool, then life) []life {
		switch {
		case h == nothing && can:
			return []life{l, then}
		case h == done && can:
			return []life{then}
		case h == nothing, h == refused && !can:
			return []life{l}
		}
		return nil
	}
	inTrash := l.phase == cullet.Trashed
	switch what {
	case "delete":
		return happens(l.phase == cullet.Active, life{phase: cullet.Trashed})
	case "restore":
		if h == taken {
			return happensIf(inTrash, l)
		}
		return happens(inTrash && !l.held, life{phase: cullet.Active})
	case "hold":
		held := l
		held.held = true
		return happens(inTrash && !l.held, held)
	case "release":
		released := l
		released.held, released.due = false, false // a day at least (C8)
		return happens(inTrash && l.held, released)
	case "look", "upload":
		return happens(l.phase == cullet.Active, l)
	case "cleanup": // it may come too early or too late for this one
		if inTrash && !l.held && (l.due || l.ordered) {
			return []life{l, {phase: cullet.Gone}}
		}
		return []life{l}
	}
	panic("nobody does " + what)
}

func happensIf(can bool, l life) []life {
	if can {
		return []life{l}
	}
	return nil
}

// lives is the model that porcupine looks for an order of the acts in.
func lives(first []life) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
			parts := make([][]porcupine.Operation, len(first))
			for _, o := range all {
				n := o.Input.(act).project
				parts[n] = append(parts[n], o)
			}
			return parts
		},
		Init: func() []any { // which project a part is of shows with its first act
			var all []any
			for n := range first {
				all = append(all, state{n, first[n]})
			}
			return all
		},
		Step: func(s, in, out any) []any {
			before, a := s.(state), in.(act)
			if before.project != a.project {
				return nil
			}
			var all []any
			for _, l := range before.next(a.what, out.(heard)) {
				all = append(all, state{a.project, l})
			}
			return all
		},
		DescribeOperation: func(in, out any) string {
			a := in.(act)
			return fmt.Sprintf("%s %d: %s", a.what, a.project, out)
		},
	}
	return m.ToModel()
}

type state struct {
	project int
	life
}

// TestConcurrentHistories lets clients delete, restore, hold, release, upload, look and
// clean up at the same time, some of which die on the way, and looks for an order of
// their acts, project by project, in which each could have heard what it heard (R6).
// What is left afterwards is held against fsck.
func TestConcurrentHistories(t *testing.T) {
	eachHistory(t, func(t *rapid.T, h *history) { (&crowd{history: h}).run(t) })
}

const crowdProjects = 2

type crowd struct {
	*history
	first []life
	ids   []string
	turn  atomic.Int64
	mu    sync.Mutex
	acts  []porcupine.Operation
}

func (c *crowd) run(t *rapid.T) {
	c.prepare(t)
	scripts := c.scripts(t)
	// Each client has an engine of its own: as many servers.
	var clients sync.WaitGroup
	for n, script := range scripts {
		engine := purge.NewEngine(c.DB, c.Blobs, time.Minute, quiet)
		clients.Go(func() {
			for _, a := range script {
				if !c.do(n, engine, a) {
					return
				}
			}
		})
	}
	clients.Wait()
	c.start()
	for n := range c.ids {
		c.do(len(scripts), c.engine, act{project: n, what: "look"})
	}
	if result := porcupine.CheckOperationsTimeout(lives(c.first), c.acts, 10*time.Second); result == porcupine.Illegal {
		t.Fatalf("R6: from %+v there is no order in which these could have happened:\n%s", c.first, c.told())
	}
	c.sound()
	c.clear()
}

// prepare makes projects that share pictures: some active, some in Trash, held, due or
// ordered to go.
func (c *crowd) prepare(t *rapid.T) {
	for n := range crowdProjects {
		p := c.Project(t, fmt.Sprintf("p%d", n))
		c.ids = append(c.ids, p.ID)
		for picture := range 2 {
			c.Image(t, p.ID, picture+n)
		}
		c.Version(t, p.ID)
	}
	for _, id := range c.ids {
		l := life{phase: cullet.Active}
		if rapid.Bool().Draw(t, "in Trash") {
			item, err := c.Bin.DeleteProject(ctx, c.By, id)
			c.must(err)
			l = life{phase: cullet.Trashed}
			switch rapid.SampledFrom([]string{"", "due", "held", "due and held"}).Draw(t, "and") {
			case "due":
				l.due = true
			case "held":
				l.held = true
			case "due and held":
				l.due, l.held = true, true
			}
			if l.held {
				_, err := c.Bin.Hold(ctx, c.Person(), []string{item.ID}, "before")
				c.must(err)
			}
			if l.due {
				c.must(c.DB.Update(ctx, func(tx *store.Tx) error { return makeDue(tx, item.ID) }))
			} else if !l.held && rapid.Bool().Draw(t, "ordered") {
				plan, err := c.desk.Prepare(ctx, c.Person(), c.Workspace.Slug, purge.Choice{Items: []string{item.ID}})
				c.must(err)
				_, err = c.desk.Order(ctx, c.Person(), purge.Confirmation{Token: plan.Token, Typed: plan.Typed, Password: cullettest.Password})
				c.must(err)
				l.ordered = true
			}
		}
		c.first = append(c.first, l)
	}
	c.Pass(t, time.Minute)
}

// makeDue has an item's date be now.
func makeDue(tx *store.Tx, item string) error {
	_, err := tx.SQL().Exec(`UPDATE trash_items SET cleanup_at = $2, effective_at = $2 WHERE id = $1`, item, tx.Now.UnixMicro())
	return err
}

func (c *crowd) scripts(t *rapid.T) [][]act {
	one := rapid.Custom(func(t *rapid.T) act {
		a := act{
			project: rapid.IntRange(0, crowdProjects-1).Draw(t, "project"),
			what:    rapid.SampledFrom([]string{"delete", "restore", "restore", "hold", "release", "cleanup", "cleanup", "upload", "look"}).Draw(t, "act"),
		}
		if a.what != "cleanup" && rapid.IntRange(0, 9).Draw(t, "dies") == 0 {
			a.dies = rapid.IntRange(1, 200).Draw(t, "after")
		}
		return a
	})
	return rapid.SliceOfN(rapid.SliceOfN(one, 1, 6), 2, 3).Draw(t, "scripts")
}

// do does one act as a client, keeps what it heard, and says whether the client lives.
func (c *crowd) do(client int, engine *purge.Engine, a act) bool {
	mortal, kill := context.WithCancel(ctx)
	defer kill()
	if a.dies > 0 {
		go func() {
			for range a.dies {
				runtime.Gosched()
			}
			kill()
		}()
	}
	call := c.turn.Add(1)
	err := c.act(mortal, engine, a)
	end := c.turn.Add(1)
	h := done
	var slug *cullet.SlugTaken
	switch {
	case err != nil && mortal.Err() != nil:
		h, end = nothing, 1<<60 // it may yet come about
	case errors.As(err, &slug):
		h = taken
	case err != nil && cullet.CodeOf(err) != cullet.NotFound && cullet.CodeOf(err) != cullet.Conflict:
		c.mu.Lock()
		c.history.t.Errorf("%s %d: %v", a.what, a.project, err)
		c.mu.Unlock()
	case err != nil:
		h = refused
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.what == "cleanup" { // it comes to all of them
		for n := range c.ids {
			each := a
			each.project = n
			c.acts = append(c.acts, porcupine.Operation{ClientId: client*10 + n, Input: each, Call: call, Output: h, Return: end})
		}
	} else {
		c.acts = append(c.acts, porcupine.Operation{ClientId: client * 10, Input: a, Call: call, Output: h, Return: end})
	}
	return h != nothing
}

func (c *crowd) act(ctx context.Context, engine *purge.Engine, a act) error {
	id := c.ids[a.project]
	switch a.what {
	case "delete":
		_, err := c.Bin.DeleteProject(ctx, c.By, id)
		return err
	case "restore":
		_, err := c.Bin.Restore(ctx, c.By, trash.Request{Type: cullet.TrashProject, ID: id})
		return err
	case "hold", "release":
		return c.keep(ctx, a.what, id)
	case "look":
		_, err := c.Catalog.Project(ctx, c.By, id)
		return err
	case "upload":
		_, err := c.Intake.Image(ctx, c.By, id, upload.NewImage{Name: "new.png"}, bytes.NewReader(cullettest.PNG(a.project+len(a.what))))
		return err
	}
	return errors.Join(engine.BeginDue(ctx), engine.Round(ctx))
}

// keep holds or releases the project's item, if it has one at this moment.
func (c *crowd) keep(ctx context.Context, what, id string) error {
	items, err := c.Bin.List(ctx, c.By)
	if err != nil {
		return err
	}
	for _, i := range items {
		if i.Target != id {
			continue
		}
		var all []trash.Kept
		if what == "hold" {
			all, err = c.Bin.Hold(ctx, c.Person(), []string{i.ID}, "in the crowd")
		} else {
			all, err = c.Bin.Release(ctx, c.Person(), []string{i.ID})
		}
		if err != nil {
			return err
		}
		return all[0].Err
	}
	return &cullet.NotInTrash{Type: cullet.TrashProject, ID: id}
}

func (c *crowd) told() string {
	var b bytes.Buffer
	for _, o := range c.acts {
		fmt.Fprintf(&b, "%3d to %3d  client %d  %s %d: %s\n", o.Call, o.Return, o.ClientId/10, o.Input.(act).what, o.Input.(act).project, o.Output)
	}
	return b.String()
}

// clear ends everything, and sees that nothing is left (C5).
func (c *crowd) clear() {
	items, err := c.Bin.List(ctx, c.By)
	c.must(err)
	for _, i := range items {
		if !i.HeldAt.IsZero() {
			_, err := c.Bin.Release(ctx, c.Person(), []string{i.ID})
			c.must(err)
		}
	}
	for _, id := range c.ids {
		if _, err := c.Bin.DeleteProject(ctx, c.By, id); err != nil {
			c.want(err, cullet.NotFound, "D8")
		}
	}
	c.empty()
}

// TestTheModelOfLivesCanSayNo: histories that break R6 are told apart from those that do not.
func TestTheModelOfLivesCanSayNo(t *testing.T) {
	active, due := life{phase: cullet.Active}, life{phase: cullet.Trashed, due: true}
	for name, c := range map[string]struct {
		first life
		acts  []porcupine.Operation
		want  bool
	}{
		"deleted twice":               {active, []porcupine.Operation{told("delete", done, 1, 2), told("delete", done, 3, 4)}, false},
		"deleted, refused":            {active, []porcupine.Operation{told("delete", done, 1, 2), told("delete", refused, 3, 4)}, true},
		"two restores at once":        {due, []porcupine.Operation{told("restore", done, 1, 4), told("restore", done, 2, 3)}, false},
		"restored and purged":         {due, []porcupine.Operation{told("restore", done, 1, 2), told("cleanup", done, 3, 4), told("look", refused, 5, 6)}, false},
		"purged and then refused":     {due, []porcupine.Operation{told("cleanup", done, 1, 2), told("restore", refused, 3, 4), told("look", refused, 5, 6)}, true},
		"held and purged":             {due, []porcupine.Operation{told("hold", done, 1, 2), told("cleanup", done, 3, 4), told("release", refused, 5, 6)}, false},
		"died, and it did happen":     {active, []porcupine.Operation{told("delete", nothing, 1, 1<<60), told("look", done, 2, 3), told("look", refused, 4, 5)}, true},
		"hidden without anybody":      {active, []porcupine.Operation{told("look", refused, 1, 2)}, false},
		"an upload into what is gone": {due, []porcupine.Operation{told("cleanup", done, 1, 2), told("upload", done, 3, 4)}, false},
	} {
		if got := porcupine.CheckOperations(lives([]life{c.first}), c.acts); got != c.want {
			t.Errorf("%s: possible %v, want %v", name, got, c.want)
		}
	}
}

func told(what string, h heard, call, end int64) porcupine.Operation {
	return porcupine.Operation{Input: act{what: what}, Call: call, Output: h, Return: end}
}

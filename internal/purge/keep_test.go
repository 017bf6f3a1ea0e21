package purge_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trash"
)

func (b *bench) gone(t *testing.T, item cullet.TrashItem) bool {
	t.Helper()
	_, err := b.Bin.Item(ctx, b.By, item.ID)
	if err != nil && cullet.CodeOf(err) != cullet.Conflict {
		t.Fatal(err)
	}
	return err != nil
}

func did(t *testing.T, all []trash.Kept, err error) cullet.TrashItem {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].Err != nil {
		t.Fatalf("%+v", all)
	}
	return all[0].Item
}

// refusals is what the audit keeps of refused permanent deletions and liftings.
func (b *bench) refusals(t *testing.T) (all []cullet.AuditEntry) {
	t.Helper()
	err := b.DB.View(ctx, func(tx *store.Tx) error {
		entries, err := tx.ListAudit(ctx, b.Workspace.ID, 0, 1000)
		all = nil
		for _, e := range entries {
			if e.Act == cullet.ActPurgeRefused {
				all = append(all, e)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// audited: after so many refusals one more came, of the actor, with the reason given.
func (b *bench) audited(t *testing.T, what string, before int, by cullet.Actor, why error) {
	t.Helper()
	all := b.refusals(t)
	if len(all) != before+1 {
		t.Errorf("P2: %s left %d entries in the audit, want 1", what, len(all)-before)
		return
	}
	if e := all[before]; e.ActorID != by.ID || e.Result != cullet.MessageOf(why) {
		t.Errorf("P2: %s is in the audit as %s: %q, want %s: %q", what, e.ActorID, e.Result, by.ID, cullet.MessageOf(why))
	}
}

// versionInTrash makes a project with a version, moves the version and then the project to Trash.
func (b *bench) versionInTrash(t *testing.T, name string) (version, project cullet.TrashItem) {
	t.Helper()
	p := b.Project(t, name)
	b.Image(t, p.ID, 1)
	b.Version(t, p.ID)
	version, err := b.Bin.DeleteVersion(ctx, b.By, p.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	if project, err = b.Bin.DeleteProject(ctx, b.By, p.ID); err != nil {
		t.Fatal(err)
	}
	return version, project
}

// TestC6JumpAhead: a clock that jumps purges nothing that became due by the jump, before
// the grace is over; what was due before goes on.
func TestC6JumpAhead(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		early := b.trashed(t, "early")
		b.Pass(t, 29*cullettest.Day)
		late := b.trashed(t, "late")
		b.Pass(t, cullettest.Day-time.Second)
		b.round(t)
		b.Clock.Advance(41 * cullettest.Day)
		b.round(t)
		if b.gone(t, early) || b.gone(t, late) {
			t.Fatal("C6: purged at the jump")
		}
		person := b.Person()
		wait, waits, err := b.desk.Waiting(ctx, person)
		if err != nil || !waits || wait.Items != 2 || wait.Words() != "The server's clock moved ahead by 41 days" {
			t.Errorf("C6: %q, %d items, %v, %v", wait.Words(), wait.Items, waits, err)
		}
		b.Clock.Advance(24*time.Hour - time.Second)
		b.Pass(t, 0)
		b.round(t)
		if b.gone(t, early) || b.gone(t, late) {
			t.Fatal("C6: purged before the grace is over")
		}
		b.Pass(t, time.Minute)
		b.round(t)
		if !b.gone(t, early) || !b.gone(t, late) {
			t.Error("C2: not purged after the grace")
		}
		b.Check(t)
	})
}

// TestC6ServerOff: another process finds the same after the server was off past dates;
// what was due before it went off is purged without a wait.
func TestC6ServerOff(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		before := b.trashed(t, "before")
		b.Clock.Advance(time.Hour)
		meanwhile := b.trashed(t, "meanwhile")
		b.Pass(t, 30*cullettest.Day-time.Minute) // the first is due, the second not yet; the server goes off
		b.Clock.Advance(2 * time.Hour)
		b.engine = newEngine(b.World)
		b.round(t)
		if !b.gone(t, before) {
			t.Error("C6: what was due before the server went off waits")
		}
		if b.gone(t, meanwhile) {
			t.Error("C6: what became due while the server was off does not wait")
		}
		wait, waits, err := b.desk.Waiting(ctx, b.Person())
		if err != nil || !waits || !strings.HasPrefix(wait.Words(), "The server was off from ") {
			t.Errorf("C6: %q, %v, %v", wait.Words(), waits, err)
		}
	})
}

// TestC6ClocksApart: while the database's clock says something else, nothing that
// became due since they agreed is purged.
func TestC6ClocksApart(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		item := b.trashed(t, "a")
		b.Pass(t, 30*cullettest.Day-time.Minute)
		off := 2 * time.Hour
		b.engine.ServerTime = func(context.Context) (time.Time, error) { return b.Clock.Now().Add(-off), nil }
		b.Clock.Advance(2 * time.Minute)
		b.round(t)
		if b.gone(t, item) {
			t.Fatal("C6: purged while the clocks disagree")
		}
		off = 0
		b.Clock.Advance(2 * time.Minute)
		b.round(t)
		b.Pass(t, 23*time.Hour)
		b.round(t)
		if b.gone(t, item) {
			t.Fatal("C6: purged before the grace is over")
		}
		b.Pass(t, 2*time.Hour)
		b.round(t)
		if !b.gone(t, item) {
			t.Error("C2: not purged after they agreed for the grace")
		}
		b.engine.ServerTime = func(context.Context) (time.Time, error) { return time.Time{}, errors.New("no answer") }
		b.Clock.Advance(time.Minute)
		if err := b.engine.BeginDue(ctx); err == nil {
			t.Error("C11: a clock that cannot be asked is trusted")
		}
	})
}

// TestC6Lift: an administrator lifts the wait for their workspace with text and
// password; nobody and nothing else can.
func TestC6Lift(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		item := b.trashed(t, "a")
		b.round(t)
		b.Clock.Advance(41 * cullettest.Day)
		b.round(t)
		admin := b.Person()
		admin.Role = cullet.Admin
		editor := admin
		editor.Role = cullet.Editor
		wait, _, err := b.desk.Waiting(ctx, admin)
		if err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string]struct {
			by          cullet.Actor
			wait, typed string
			password    string
			code        cullet.Code
		}{
			"an editor":        {editor, wait.Wait, purge.LiftText, cullettest.Password, cullet.Forbidden},
			"a key":            {b.By, wait.Wait, purge.LiftText, cullettest.Password, cullet.Forbidden},
			"key with session": {withSession(b.By), wait.Wait, purge.LiftText, cullettest.Password, cullet.Forbidden},
			"wrong text":       {admin, wait.Wait, "resume", cullettest.Password, cullet.Invalid},
			"wrong password":   {admin, wait.Wait, purge.LiftText, "no", cullet.Forbidden},
			"another wait":     {admin, "cw_other", purge.LiftText, cullettest.Password, cullet.Conflict},
		} {
			before := len(b.refusals(t))
			err := b.desk.Lift(ctx, c.by, c.wait, c.typed, c.password)
			if cullet.CodeOf(err) != c.code {
				t.Errorf("P2: %s: %v, want %s", what, err, c.code)
			}
			b.audited(t, what, before, c.by, err)
		}
		b.Pass(t, 2*time.Minute)
		b.round(t)
		if b.gone(t, item) {
			t.Fatal("C6: a refused lift lifted the wait")
		}
		if err := b.desk.Lift(ctx, admin, wait.Wait, purge.LiftText, cullettest.Password); err != nil {
			t.Fatal(err)
		}
		b.Pass(t, 2*time.Minute)
		b.round(t)
		if !b.gone(t, item) {
			t.Error("C6: the lift has no effect")
		}
	})
}

// TestC8Held: nobody purges what is held, neither at its date nor by order; released it
// stays a day at least, and then goes.
func TestC8Held(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		item, other := b.trashed(t, "held"), b.trashed(t, "other")
		person := b.Person()
		before := b.prepare(t, person, purge.Choice{Items: ids(item)})
		all, err := b.Bin.Hold(ctx, person, ids(item), "needed in court")
		held := did(t, all, err)
		if !held.Held() || held.HeldBy != "Ann" || held.HoldReason != "needed in court" || held.Revision == item.Revision {
			t.Errorf("C8: %+v", held)
		}
		o := b.order(t, person, before)
		b.Clock.Advance(10 * time.Second)
		b.round(t)
		if r := b.report(t, o); r.Kept != 1 || r.Items[0].Reason == "" {
			t.Errorf("C8: an order from before the hold: %+v", r)
		}
		plan := b.prepare(t, person, purge.Choice{All: true})
		if len(plan.Items) != 1 || plan.Items[0].ID != other.ID || len(plan.Skipped) != 1 || !strings.Contains(plan.Skipped[0].Reason, "needed in court") {
			t.Errorf("C8: emptying: goes %v, skipped %+v", plan.Items, plan.Skipped)
		}
		b.Pass(t, 400*cullettest.Day)
		b.round(t)
		if b.gone(t, item) || !b.gone(t, other) {
			t.Fatalf("C8: 400 days later the held one is gone: %v, the other: %v", b.gone(t, item), b.gone(t, other))
		}
		all, err = b.Bin.Release(ctx, person, ids(item))
		if r := did(t, all, err); r.Held() || !r.EffectiveAt.Equal(b.Clock.Now().Add(cullet.ReleaseFloor)) {
			t.Errorf("C8: released it is due at %v, now %v", r.EffectiveAt, b.Clock.Now())
		}
		b.Pass(t, 23*time.Hour)
		b.round(t)
		if b.gone(t, item) {
			t.Fatal("C8: purged within a day of its release")
		}
		b.Pass(t, time.Hour)
		b.round(t)
		if !b.gone(t, item) {
			t.Error("C2: not purged a day after its release")
		}
		b.Check(t)
	})
}

// TestC8ParentIsHeldByChild: a parent is held and dated by what lies in Trash below it.
func TestC8ParentIsHeldByChild(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		person := b.Person()
		version, project := b.versionInTrash(t, "parent")
		all, err := b.Bin.Hold(ctx, person, ids(version), "keep this one")
		did(t, all, err)
		p, err := b.Bin.Item(ctx, person, project.ID)
		if err != nil || !p.Held() || p.HeldBelow != "version 1" {
			t.Errorf("C8: the parent: held %v below %q, %v", p.Held(), p.HeldBelow, err)
		}
		if plan := b.prepare(t, person, purge.Choice{Items: ids(project)}); len(plan.Items) != 0 || len(plan.Skipped) != 1 {
			t.Errorf("C8: the parent of a held version may go: %+v", plan)
		}
		b.Pass(t, 31*cullettest.Day)
		b.round(t)
		if b.gone(t, project) || b.gone(t, version) {
			t.Fatal("C8: a parent went while what lies below it is held")
		}
		all, err = b.Bin.Release(ctx, person, ids(version))
		did(t, all, err)
		all, err = b.Bin.Postpone(ctx, person, ids(version), trash.Later(7*cullettest.Day))
		later := did(t, all, err)
		if p, err = b.Bin.Item(ctx, person, project.ID); err != nil || !p.EffectiveAt.Equal(later.EffectiveAt) {
			t.Errorf("C8: the parent is due at %v, the version at %v, %v", p.EffectiveAt, later.EffectiveAt, err)
		}
		b.Pass(t, 8*cullettest.Day-time.Minute)
		b.round(t)
		if b.gone(t, project) || b.gone(t, version) {
			t.Fatal("C8: purged before the postponed date")
		}
		b.Pass(t, time.Minute)
		b.round(t)
		if !b.gone(t, project) || !b.gone(t, version) {
			t.Error("C2: not purged at the postponed date")
		}
		if r := b.Check(t); r.Files != 0 {
			t.Errorf("C5: %d files are left", r.Files)
		}
	})
}

// TestC7OnlyMoreTime: no door moves a date closer.
func TestC7OnlyMoreTime(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		person := b.Person()
		item := b.trashed(t, "a")
		for what, until := range map[string]trash.Until{
			"the same date":        trash.Later(0),
			"an earlier date":      trash.Later(-time.Second),
			"the past":             trash.At(b.Clock.Now().Add(-time.Hour)),
			"more than a year off": trash.At(b.Clock.Now().Add(366 * cullettest.Day)),
		} {
			all, err := b.Bin.Postpone(ctx, person, ids(item), until)
			if err != nil || len(all) != 1 || cullet.CodeOf(all[0].Err) != cullet.Invalid {
				t.Errorf("C7: %s: %+v, %v; want refused", what, all, err)
			}
		}
		if err := b.Bin.SetRetention(ctx, person, 7*cullettest.Day); err != nil {
			t.Fatal(err)
		}
		if now, err := b.Bin.Item(ctx, person, item.ID); err != nil || !now.EffectiveAt.Equal(item.EffectiveAt) || !now.CleanupAt.Equal(item.CleanupAt) {
			t.Errorf("C7: a shorter retention moves %v to %v, %v", item.EffectiveAt, now.EffectiveAt, err)
		}
		if next := b.trashed(t, "b"); !next.CleanupAt.Equal(next.DeletedAt.Add(7 * cullettest.Day)) {
			t.Errorf("C7: what is deleted from now on is due at %v", next.CleanupAt)
		}
		if err := b.Bin.SetRetention(ctx, person, time.Hour); cullet.CodeOf(err) != cullet.Invalid {
			t.Errorf("a retention of an hour: %v", err)
		}
	})
}

// TestP2NoKeyKeepsOrReleases: a key can neither release a hold nor change a date, the
// retention or the protection, whatever its scopes; each try is audited.
func TestP2NoKeyKeepsOrReleases(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		person := b.Person()
		item := b.trashed(t, "a")
		all, err := b.Bin.Hold(ctx, person, ids(item), "court")
		did(t, all, err)
		if err := b.desk.Protect(ctx, person); err != nil {
			t.Fatal(err)
		}
		editor := person
		editor.Role = cullet.Editor
		for _, by := range []cullet.Actor{b.By, withSession(b.By), editor} {
			for what, act := range map[string]func() error{
				"restore":   func() error { _, err := b.Bin.RestoreItem(ctx, by, item.ID, ""); return err },
				"hold":      func() error { _, err := b.Bin.Hold(ctx, by, ids(item), "mine"); return err },
				"release":   func() error { _, err := b.Bin.Release(ctx, by, ids(item)); return err },
				"postpone":  func() error { _, err := b.Bin.Postpone(ctx, by, ids(item), trash.Later(cullettest.Day)); return err },
				"retention": func() error { return b.Bin.SetRetention(ctx, by, 400*cullettest.Day) },
				"warnings":  func() error { return b.Bin.SetWarnings(ctx, by, cullet.Warnings{}) },
				"protect":   func() error { return b.desk.Protect(ctx, by) },
				"unprotect": func() error { _, err := b.desk.Unprotect(ctx, by, cullettest.Password); return err },
				"keep":      func() error { return b.desk.KeepProtection(ctx, by) },
			} {
				before, want, kept := b.entries(t), cullet.Forbidden, int64(1)
				if what == "restore" { // of what is held: deleted again, it would be held no more
					want, kept = cullet.Conflict, 0
				}
				if err := act(); cullet.CodeOf(err) != want {
					t.Errorf("P2: %s by %s: %v, want %s", what, by.Name, err, want)
				}
				if n := b.entries(t) - before; n != kept {
					t.Errorf("P2: %s by %s leaves %d entries in the audit, want %d", what, by.Name, n, kept)
				}
			}
		}
		if now, err := b.Bin.Item(ctx, person, item.ID); err != nil || !now.Held() || !now.EffectiveAt.Equal(item.EffectiveAt) {
			t.Errorf("P2: after all that: %+v, %v", now, err)
		}
	})
}

func (b *bench) entries(t *testing.T) int64 {
	t.Helper()
	var n int64
	err := b.DB.View(ctx, func(tx *store.Tx) (err error) {
		n, _, err = tx.AuditHead(ctx, b.Workspace.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestC9ProtectionHolds: with purge protection on nothing goes before its date, by no
// order, old or new; what is due goes; lifting it works after its wait, over a jump of
// the clock, and any administrator can call it off.
func TestC9ProtectionHolds(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		person := b.Person()
		item, second := b.trashed(t, "a"), b.trashed(t, "b")
		b.trashed(t, "rest")
		before := b.order(t, person, b.prepare(t, person, purge.Choice{Items: ids(item)}))
		if err := b.desk.Protect(ctx, person); err != nil {
			t.Fatal(err)
		}
		b.Clock.Advance(10 * time.Second)
		b.round(t)
		if r := b.report(t, before); r.Kept != 1 || !strings.Contains(r.Items[0].Reason, "protection") {
			t.Errorf("C9: an order from before: %+v", r)
		}
		if plan := b.prepare(t, person, purge.Choice{All: true}); len(plan.Items) != 0 || len(plan.Skipped) != 3 {
			t.Errorf("C9: %d items may go under protection", len(plan.Items))
		}
		refusals := len(b.refusals(t))
		_, err := b.desk.Unprotect(ctx, person, "wrong")
		if cullet.CodeOf(err) != cullet.Forbidden {
			t.Errorf("C9: lifted with a wrong password: %v", err)
		}
		b.audited(t, "a wrong password", refusals, person, err)
		ends, err := b.desk.Unprotect(ctx, person, cullettest.Password)
		if err != nil || !ends.Equal(b.Clock.Now().Add(cullet.DefaultProtectionWait)) {
			t.Fatalf("C9: the lifting takes effect at %v, %v", ends, err)
		}
		b.Clock.Advance(73 * time.Hour) // a jump
		if plan := b.prepare(t, person, purge.Choice{Items: ids(item)}); len(plan.Items) != 0 {
			t.Error("C9: a clock that jumped lifts the protection")
		}
		b.round(t)
		if plan := b.prepare(t, person, purge.Choice{Items: ids(item)}); len(plan.Items) != 0 {
			t.Error("C9: a clock that jumped lifts the protection, after cleanup looked")
		}
		b.Clock.Advance(-73 * time.Hour)
		b.Pass(t, 71*time.Hour)
		admin := person
		admin.Role = cullet.Admin
		if err := b.desk.KeepProtection(ctx, admin); err != nil {
			t.Fatal(err)
		}
		b.Pass(t, 30*time.Hour)
		b.round(t)
		if plan := b.prepare(t, person, purge.Choice{Items: ids(item)}); len(plan.Items) != 0 {
			t.Error("C9: the lifting that was called off took effect")
		}
		if _, err := b.desk.Unprotect(ctx, person, cullettest.Password); err != nil {
			t.Fatal(err)
		}
		b.Pass(t, 73*time.Hour)
		b.round(t)
		o := b.order(t, person, b.prepare(t, person, purge.Choice{Items: ids(item)}))
		b.Clock.Advance(10 * time.Second)
		b.round(t)
		if r := b.report(t, o); r.Deleted != 1 {
			t.Errorf("C9: after the protection: %+v", r)
		}
		if err := b.desk.Protect(ctx, person); err != nil {
			t.Fatal(err)
		}
		b.Pass(t, 31*cullettest.Day)
		b.round(t)
		if !b.gone(t, second) {
			t.Error("C2: protection holds up what is due")
		}
	})
}

// TestC8HoldAgainstTheEngine lets a hold and two engines meet at the due date: what the
// hold said it held is there afterwards.
func TestC8HoldAgainstTheEngine(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		person := b.Person()
		for round := range 8 {
			version, project := b.versionInTrash(t, "p")
			b.Pass(t, 31*cullettest.Day)
			var acts sync.WaitGroup
			var held error
			for _, e := range []*purge.Engine{b.engine, newEngine(b.World)} {
				acts.Go(func() {
					if err := e.BeginDue(ctx); err != nil {
						t.Error(err)
					}
				})
			}
			acts.Go(func() {
				all, err := b.Bin.Hold(ctx, person, ids(version), "race")
				if err == nil {
					err = all[0].Err
				}
				held = err
			})
			acts.Wait()
			b.round(t)
			if held == nil && (b.gone(t, version) || b.gone(t, project)) {
				t.Fatalf("C8: round %d: purged although the hold succeeded", round)
			}
			if held != nil && cullet.CodeOf(held) != cullet.Conflict {
				t.Errorf("round %d: %v", round, held)
			}
			if held == nil {
				all, err := b.Bin.Release(ctx, person, ids(version))
				did(t, all, err)
			}
			b.Pass(t, 2*cullettest.Day)
			b.round(t)
		}
		b.Check(t)
	})
}

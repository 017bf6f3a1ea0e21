package access_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/cullettest"
)

var ctx = context.Background()

// TestABurstOfSignInsIsLimited: passwords tried at once count as those tried one
// after another.
func TestABurstOfSignInsIsLimited(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		var tried, refused atomic.Int64
		var all sync.WaitGroup
		for n := range 30 {
			all.Go(func() {
				// By address in the first half, by machine in the second.
				email, machine := "ann@example.com", fmt.Sprint("machine ", n)
				if n%2 == 0 {
					email, machine = fmt.Sprintf("p%d@example.com", n), "the machine"
				}
				switch _, err := w.Access.SignIn(ctx, email, "wrong password", machine); cullet.CodeOf(err) {
				case cullet.Unauthorized:
					tried.Add(1)
				case cullet.TooMany:
					refused.Add(1)
				default:
					t.Errorf("a wrong password is %v", err)
				}
			})
		}
		all.Wait()
		if tried.Load() != 10 || refused.Load() != 20 {
			t.Errorf("%d passwords were tried and %d refused; want 5 tried of the address and 5 from the machine", tried.Load(), refused.Load())
		}
		if err := w.Access.Confirm(ctx, w.Owner.ID, cullettest.Password, "another"); cullet.CodeOf(err) != cullet.TooMany {
			t.Errorf("a confirmation beyond the limit is %v, want too_many", err)
		}
		w.Clock.Advance(16 * time.Minute)
		for range 3 { // a success leaves nothing of those before
			for range 4 {
				if _, err := w.Access.SignIn(ctx, "ann@example.com", "wrong password", "m"); cullet.CodeOf(err) != cullet.Unauthorized {
					t.Fatalf("a wrong password is %v, want unauthorized", err)
				}
			}
			if p, err := w.Access.SignIn(ctx, "Ann@example.com", cullettest.Password, "m"); err != nil || p.ID != w.Owner.ID {
				t.Fatalf("the right password: %v, %v", p, err)
			}
		}
	})
}

// TestKeyChangesDoNotUndoEachOther: a key that is renamed while it is disabled is
// disabled.
func TestKeyChangesDoNotUndoEachOther(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		yes, name := true, "renamed"
		for range 15 {
			k, secret, err := w.Access.MakeKey(ctx, w.By, access.KeyChange{})
			if err != nil {
				t.Fatal(err)
			}
			var both sync.WaitGroup
			for _, c := range []access.KeyChange{{Disabled: &yes}, {Name: &name}} {
				both.Go(func() {
					if _, err := w.Access.ChangeKey(ctx, w.By, k.ID, c); err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			if k, err = w.Access.GetKey(ctx, w.By, k.ID); err != nil || !k.Disabled || k.Name != name {
				t.Fatalf("after both changes the key is %+v, %v", k, err)
			}
			if _, _, err := w.Access.Key(ctx, secret); cullet.CodeOf(err) != cullet.Unauthorized {
				t.Fatalf("a disabled key is %v, want unauthorized", err)
			}
		}
	})
}

func TestAKnownAddressIsAConflict(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		var all sync.WaitGroup
		var made atomic.Int64
		for _, email := range []string{"Ann@example.com", "bob@example.com", "bob@example.com"} {
			all.Go(func() {
				_, err := w.Access.AddPerson(ctx, w.Workspace.ID, email, "A", cullettest.Password, cullet.Editor)
				if err == nil {
					made.Add(1)
				} else if cullet.CodeOf(err) != cullet.Conflict {
					t.Errorf("adding %s again: %v, want a conflict", email, err)
				}
			})
		}
		all.Wait()
		if made.Load() != 1 {
			t.Errorf("%d people were made, want 1", made.Load())
		}
	})
}

// TestTextThatCannotBeKeptIsInvalid: PostgreSQL refuses it by itself, and that is
// the client's fault, not ours.
func TestTextThatCannotBeKeptIsInvalid(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		for _, text := range []string{"a\x00b@example.com", "a\xffb@example.com"} {
			if _, err := w.Access.SignIn(ctx, text, "wrong password", "m"); cullet.CodeOf(err) == cullet.Internal {
				t.Errorf("signing in as %q is %v", text, err)
			}
			want := map[string]cullet.Code{"sqlite": cullet.NotFound, "postgres": cullet.Invalid}[d.Name]
			if _, err := w.Access.GetKey(ctx, w.By, text); cullet.CodeOf(err) != want {
				t.Errorf("the key %q is %v, want %s", text, err, want)
			}
		}
	})
}

package store

import (
	"context"
	"testing"
	"time"
)

func TestWanted(t *testing.T) {
	db := &DB{}
	want := func(what string, yes bool) {
		t.Helper()
		if db.Wanted() != yes {
			t.Errorf("%s it is wanted: %v, want %v", what, !yes, yes)
		}
	}
	ctx := context.Background()
	want("at first", false)
	done := db.asked.came(Background(ctx))
	want("while work in the background writes", false)
	done()
	want("after work in the background", false)
	done = db.asked.came(ctx)
	want("while somebody writes", true)
	done()
	want("right after somebody wrote", true)
	before := time.Now().Add(-2 * lately)
	db.asked.last.Store(&before)
	want("some time after", false)
}

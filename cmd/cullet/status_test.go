package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/sdk"
)

// trashStatus runs cullet trash status against a server.
func trashStatus(t *testing.T, url, key string, args ...string) string {
	t.Helper()
	c := exec.Command(os.Args[0], append([]string{"trash", "status", "--url", url, "--api-key", key}, args...)...)
	c.Env = append(os.Environ(), asCullet+"=1")
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("cullet trash status: %v\n%s%s", err, out, errs.String())
	}
	return string(out)
}

// TestTrashStatus prints how a Trash stands in which something is being deleted, as a
// person reads it and as a script does.
func TestTrashStatus(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		ctx := context.Background()
		p := newPlace(t, d)
		p.TrashRetention = time.Hour
		g := p.ground(t, false)
		defer g.close()
		s, err := newServer(ctx, p.settings, g, nil)
		if err != nil {
			t.Fatal(err)
		}
		h, err := s.handler(ctx)
		if err != nil {
			t.Fatal(err)
		}
		door := httptest.NewServer(h)
		defer door.Close()
		key := p.opened.Secret
		if out := trashStatus(t, door.URL, key); !strings.Contains(out, "nothing is being deleted permanently") || strings.Contains(out, "held") && strings.Contains(out, "released") {
			t.Errorf("of an empty Trash:\n%s", out)
		}

		by, _, err := g.access.Key(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		made, err := s.catalog.CreateProject(ctx, by, dataset.NewProject{Name: "Old Belt", Type: "object-detection"})
		if err != nil {
			t.Fatal(err)
		}
		item, err := s.bin.DeleteProject(ctx, by, made.ID)
		if err != nil {
			t.Fatal(err)
		}
		rows := int64(0)
		err = g.db.Update(ctx, func(tx *store.Tx) (err error) {
			if rows, err = tx.RowsBelow(ctx, item); err != nil {
				return err
			}
			if err := tx.BeginDue(ctx, item, item.EffectiveAt); err != nil {
				return err
			}
			if _, err := tx.SweepRows(ctx, item, 1); err != nil {
				return err
			}
			return tx.DelayItem(ctx, item.ID, "a disk on fire", tx.Now.Add(time.Hour))
		})
		if err != nil {
			t.Fatal(err)
		}
		var status sdk.TrashStatus
		if err := json.Unmarshal([]byte(trashStatus(t, door.URL, key, "--json")), &status); err != nil {
			t.Fatal(err)
		}
		if len(status.Leaving) != 1 || status.Types[0] != (sdk.TypeStatus{Type: "project", Items: 1, Problems: 1}) {
			t.Fatalf("%+v", status)
		}
		if i := status.Leaving[0]; i.ItemID != item.ID || i.RowsDone != 1 || i.RowsLeft != rows-1 || i.Problem != "a disk on fire" || !i.RetryAt.After(status.CountedAt) || i.Ordered {
			t.Errorf("1 row of %d is gone: %+v", rows, i)
		}
		out := trashStatus(t, door.URL, key)
		for _, want := range []string{
			`Trash of acme, `, `(?m)^ +project +1 +0 +0 +0 +1 +0$`, `(?m)^ +all +1 +0 +0 +0 +1 +0$`, `project   old-belt +1 of \d+ rows gone, \d+ left; 0 bytes freed; by cleanup`,
			`last problem: a disk on fire`, `it goes on at `,
		} {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("the table lacks %s:\n%s", want, out)
			}
		}
	})
}

// TestStatusWords: what waits is said.
func TestStatusWords(t *testing.T) {
	var out bytes.Buffer
	at := time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)
	printStatus(&out, "acme", &sdk.TrashStatus{CountedAt: at, OverdueSince: at.Add(-time.Hour), Backup: true, LeavingMore: 3,
		Types:     []sdk.TypeStatus{{Type: "version", Items: 2, Held: 2, Bytes: 10}},
		Leaving:   []sdk.LeavingItem{{Type: "project", Name: "belt", Ordered: true, StartedAt: at, RowsDone: 3, RowsLeft: 7, FilesLeft: 2, BytesLeft: 9, Along: 1, ItemID: "ti_1"}},
		FilesLeft: sdk.FilesLeft{Files: 2, Bytes: 9, Problems: 1},
		Waiting:   &sdk.ClockWait{Reason: "The server's clock moved ahead by 31 days", Until: at.Add(time.Hour), Items: 5}})
	for _, want := range []string{
		"3 of 10 rows gone, 7 left; 0 bytes freed; by order, since 1 Apr 2026 12:00 UTC  ti_1\n", "in Trash along with it: 1\n",
		"whose rows are gone: 2 (9 bytes)", "and 3 more\n", "overdue: the longest since 1 Apr 2026 11:00 UTC\n", "held, kept until released: 2",
		"cleanup waits until 1 Apr 2026 13:00 UTC, or until a person lifts that in the web app: The server's clock moved ahead by 31 days; 5 items",
		"files still to be removed: 2 (9 bytes); failed so far: 1, tried again", "a backup is under way",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}

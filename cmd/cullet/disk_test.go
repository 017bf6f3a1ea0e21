//go:build failpoints && linux

package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/purge"
)

// diskSize is that of the small disk: a few times the life that is put on it.
const diskSize = 16 << 20

// smallDisk mounts one, which takes the right to mount.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
		cullettest.Lacks(t, "no small disk can be mounted here (run it as root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillDisk takes all the room there is.
func fillDisk(t *testing.T, file string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		n, err := f.Write(make([]byte, size))
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		if n < size {
			size /= 2
		}
	}
}

// TestFailpointsSmallDisk fills a real disk while purging and uploading: uploads are
// refused, deleting and restoring work or are refused in clear words, nothing is
// half and nothing purged early; after room was made everything goes on (C1, C11).
func TestFailpointsSmallDisk(t *testing.T) {
	for _, database := range cullettest.Databases() {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			ready := newLife(t, database)
			_, good := learn(t, ready)
			l := ready.copyTo(t, smallDisk(t))
			g := l.ground(t, false)
			defer g.close()
			want := wants(l.facts(t, g))
			c := l.serve(t)
			ballast := filepath.Join(filepath.Dir(l.Data), "ballast")
			fillDisk(t, ballast)
			said := map[string]string{}
			now := want[0]
			try := func(s step, must bool) {
				t.Helper()
				err := s.do(l, c, nil)
				var no refusal
				switch got := l.facts(t, g); {
				case errors.As(err, &no):
					said[s.name] = "refused: " + no.body
					if no.status != http.StatusServiceUnavailable || !strings.Contains(no.body, "disk") {
						t.Errorf("C11: %s on a full disk is answered %v", s.name, no)
					}
					if got != now {
						t.Errorf("D1: %s was refused, and there is %+v, want %+v", s.name, got, now)
					}
				case err != nil:
					t.Fatalf("%s: %v\n%s", s.name, err, c.log.String())
				default:
					said[s.name] = "done"
					s.then(&now)
					if must || got != now {
						t.Errorf("%s was done on a full disk (may be: %v), and there is %+v, want %+v", s.name, !must, got, now)
					}
				}
			}
			try(step{"upload of a large picture", func(l *life, c *child, _ []string) error { return l.sendBytes(c, make([]byte, 1<<20-4096)) }, func(f *facts) { f.images++ }, ""}, true)
			flow, back := steps[10], steps[11]
			try(flow, false)
			if now.flow {
				try(back, false)
			}
			l.whole(t, g)
			for name, s := range said {
				t.Logf("%s, full disk: %s: %.120s", database, name, s)
			}
			if n := l.count(t, g, `SELECT COUNT(*) FROM trash_items WHERE name = 'doomed'`); n != 1 {
				t.Errorf("C1, C11: what is not due went from a full disk")
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			if now.flow {
				if err := back.do(l, c, nil); err != nil {
					t.Fatalf("after room was made: %v\n%s", err, c.log.String())
				}
			}
			for n, s := range steps {
				if err := s.do(l, c, nil); err != nil {
					t.Fatalf("%s, after room was made: %v\n%s", s.name, err, c.log.String())
				}
				if got := l.facts(t, g); got != want[n+1] {
					t.Fatalf("after %s there is %+v, want %+v", s.name, got, want[n+1])
				}
				if n < len(steps)-1 {
					l.await(t, g, c, s)
				}
			}
			l.later(t, g, c)
			l.end(t, g, c, shot{good: good})
		})
	}
}

// later lets five minutes pass for what waits, and the purges end.
func (l *life) later(t *testing.T, g *ground, c *child) {
	t.Helper()
	clock := cullettest.NewClock()
	clock.Advance(time.Since(cullettest.Start) + 6*time.Minute)
	h := l.groundAt(t, clock, func(d blob.Driver) blob.Driver { return d })
	defer h.close()
	engine := purge.NewEngine(h.db, h.blobs, time.Second, h.log)
	for range 3 { // the server has a lease on what it works on at this moment
		if err := engine.Round(bg); err != nil {
			t.Error(err)
		}
	}
	l.await(t, g, c, steps[len(steps)-1])
}

package upload_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/fsck"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/upload"
)

// faultyWorld is a world whose blob store can be broken.
func faultyWorld(t *testing.T, d cullettest.Database) (*cullettest.World, *cullettest.Faulty) {
	t.Helper()
	w := cullettest.WorldOn(t, d, cullettest.NewClock())
	f := cullettest.NewFaulty()
	w.Blobs = blob.New(f, w.Clock)
	w.Intake.Blobs = w.Blobs
	return w, f
}

// TestFaultyStore breaks each call that an upload makes of the blob store, in each
// way, once: the upload is whole, or refused and nothing of it is there. What the
// store holds afterwards that no row refers to goes at the next start, and sending
// it again works.
func TestFaultyStore(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w, f := faultyWorld(t, d)
		picture := 0
		for op, faults := range map[cullettest.Op][]cullettest.Fault{
			cullettest.OpCreate: {cullettest.Fails, cullettest.Full, cullettest.Forgets},
			cullettest.OpWrite:  {cullettest.Fails, cullettest.Full, cullettest.Forgets, cullettest.Lies},
			cullettest.OpCommit: {cullettest.Fails, cullettest.Full, cullettest.Forgets, cullettest.Lies, cullettest.Truncates},
			cullettest.OpOpen:   {cullettest.Fails},
			cullettest.OpRemove: {cullettest.Fails, cullettest.Forgets, cullettest.Lies},
			cullettest.OpSettle: {cullettest.Fails, cullettest.Forgets, cullettest.Lies},
		} {
			for _, fault := range faults {
				for nth := 1; ; nth++ {
					picture++
					what := fmt.Sprintf("%s %d %s", op, nth, fault)
					p := w.Project(t, what)
					send := func() (upload.Taken, error) {
						return w.Intake.Image(ctx, w.By, p.ID, upload.NewImage{Name: "a.png"}, bytes.NewReader(cullettest.PNG(picture)))
					}
					f.Break(op, nth, fault)
					taken, err := send()
					broke := f.Broke()
					f.Break("", 0, "")
					if !broke && err == nil && nth > 1 {
						break // an upload makes no more calls of it
					}
					if fault == cullettest.Full && cullet.CodeOf(err) != cullet.Unavailable {
						t.Errorf("%s: %v, want unavailable", what, err)
					}
					if lied := fault == cullettest.Lies || fault == cullettest.Truncates; lied && (op == cullettest.OpCommit || op == cullettest.OpWrite) && cullet.CodeOf(err) != cullet.Unavailable {
						t.Errorf("%s: the upload is answered %v, want unavailable", what, err)
					}
					now, lookErr := w.Catalog.Project(ctx, w.By, p.ID)
					if lookErr != nil || (now.Counts.Images == 1) != (err == nil) {
						t.Errorf("D1: %s: answered %v, %d images are there, %v", what, err, now.Counts.Images, lookErr)
					}
					settled(t, w, f, what)
					if err != nil {
						if taken, err = send(); err != nil || taken.Duplicate {
							t.Errorf("%s: sent again: %+v, %v", what, taken, err)
						}
						settled(t, w, f, what+", sent again")
					}
					if !broke {
						break
					}
				}
			}
		}
	})
}

// settled starts the server again, so to speak, and looks at what is there: of
// each row its bytes, and no bytes more.
func settled(t *testing.T, w *cullettest.World, f *cullettest.Faulty, what string) {
	t.Helper()
	soon := w.Clock.Now().Add(time.Minute)
	if err := upload.Recover(ctx, w.DB, w.Blobs, soon); err != nil {
		t.Errorf("%s: recovering: %v", what, err)
	}
	if _, err := w.Blobs.SweepTemp(ctx, soon); err != nil {
		t.Errorf("%s: sweeping: %v", what, err)
	}
	r, err := fsck.Check(ctx, w.DB, w.Blobs, fsck.Options{Deep: true})
	if err != nil || !r.Clean() || r.Files != r.Blobs || f.Left(blob.Pending) > 0 || f.Left(blob.Temp) > 0 {
		t.Errorf("C5: %s: %d files, %d rows, %d pending, %d drafts, found %v, %v", what, r.Files, r.Blobs, f.Left(blob.Pending), f.Left(blob.Temp), r.Findings, err)
	}
}

// TestBitFlip: a store that keeps other bytes of the same length is found out by
// fsck --deep, which names just that file.
func TestBitFlip(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w, f := faultyWorld(t, d)
		p := w.Project(t, "one")
		w.Image(t, p.ID, 1)
		f.Break(cullettest.OpCommit, 2, cullettest.Flips) // the thumbnail: nobody decodes it again
		w.Image(t, p.ID, 2)
		r, err := fsck.Check(ctx, w.DB, w.Blobs, fsck.Options{Deep: true})
		if err != nil || r.CorruptBlobs != 1 || len(r.Findings) != 1 || !f.Broke() {
			t.Fatalf("fsck found %+v, %v", r.Findings, err)
		}
		var path string
		err = w.DB.View(ctx, func(tx *store.Tx) error {
			return tx.SQL().QueryRow(`SELECT b.path FROM images i JOIN blobs b ON b.id = i.thumb_id WHERE i.name = '2.png'`).Scan(&path)
		})
		if err != nil || !bytes.Contains([]byte(r.Findings[0].What), []byte(path)) {
			t.Errorf("fsck names %s, want %s, %v", r.Findings[0].What, path, err)
		}
	})
}

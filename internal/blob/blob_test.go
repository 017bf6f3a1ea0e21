package blob_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/blob/blobtest"
	"github.com/cullet-vision/cullet/internal/blob/memblob"
)

// failing is a driver whose disk is full, or whose files will not go.
type failing struct {
	*memblob.Driver
	create, write, commit, remove error
}

func (f *failing) Create(ctx context.Context, name string) (blob.Draft, error) {
	if f.create != nil {
		return nil, f.create
	}
	d, err := f.Driver.Create(ctx, name)
	return &failingDraft{d, f}, err
}

func (f *failing) Remove(ctx context.Context, area blob.Area, name string) error {
	if f.remove != nil {
		return f.remove
	}
	return f.Driver.Remove(ctx, area, name)
}

type failingDraft struct {
	blob.Draft
	f *failing
}

func (d *failingDraft) Write(p []byte) (int, error) {
	if d.f.write != nil {
		return len(p) / 2, d.f.write
	}
	return d.Draft.Write(p)
}

func (d *failingDraft) Commit(ctx context.Context, name string, now time.Time) error {
	if d.f.commit != nil {
		return errors.Join(d.f.commit, d.Draft.Discard())
	}
	return d.Draft.Commit(ctx, name, now)
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	for where, f := range map[string]*failing{
		"create": {create: blob.ErrFull}, "write": {write: blob.ErrFull}, "commit": {commit: blob.ErrFull},
	} {
		f.Driver = memblob.New()
		_, err := blob.New(f, blobtest.NewClock()).Put(t.Context(), strings.NewReader("abc"), blob.NoLimit)
		if cullet.CodeOf(err) != cullet.Unavailable || !strings.Contains(cullet.MessageOf(err), "disk space") {
			t.Errorf("%s on a full disk: %v, want unavailable in words", where, err)
		}
		for _, area := range blob.Areas() {
			if err := f.List(t.Context(), area, func(i blob.Info) error { t.Errorf("%s: left %+v", where, i); return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// C11: one file that will not go stops neither the rest nor the next try.
func TestSweepGoesOn(t *testing.T) {
	t.Parallel()
	f := &failing{Driver: memblob.New()}
	clock := blobtest.NewClock()
	s := blob.New(f, clock)
	for range 3 {
		p, err := s.Put(t.Context(), strings.NewReader("abc"), blob.NoLimit)
		if err == nil {
			err = s.Quarantine(t.Context(), p.Path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	clock.Move(time.Hour)
	f.remove = errors.New("stuck")
	if n, err := s.SweepQuarantine(t.Context(), clock.Now()); n != 0 || !errors.Is(err, f.remove) || strings.Count(err.Error(), "stuck") != 3 {
		t.Errorf("SweepQuarantine = %d, %v, want all three tried and named", n, err)
	}
	f.remove = nil
	if n, err := s.SweepQuarantine(t.Context(), clock.Now()); n != 3 || err != nil {
		t.Errorf("SweepQuarantine = %d, %v, want 3", n, err)
	}
}

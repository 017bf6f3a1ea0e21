package account_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/account"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/purge"
)

var ctx = context.Background()

func each(t *testing.T, test func(t *testing.T, w *cullettest.World)) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) { test(t, cullettest.WorldOn(t, d, cullettest.NewClock())) })
}

func (a files) of(t *testing.T, w *cullettest.World, pictures ...int) (bytes int64) {
	t.Helper()
	for _, n := range pictures {
		bytes += a[n]
	}
	return bytes
}

// files is the bytes of a picture and its thumbnail, by the picture's number.
type files map[int]int64

// world has a project a with pictures 1, 2, 3 and a version, b with 3 and 4, and c with 5.
func world(t *testing.T, w *cullettest.World) files {
	t.Helper()
	size := files{}
	before := disk(t, w)
	grow := func(n int) {
		now := disk(t, w)
		size[n], before = now-before, now
	}
	a := w.Project(t, "a")
	for n := 1; n <= 3; n++ {
		w.Image(t, a.ID, n)
		grow(n)
	}
	w.Version(t, a.ID)
	b := w.Project(t, "b")
	w.Image(t, b.ID, 3)
	w.Image(t, b.ID, 4)
	grow(4)
	c := w.Project(t, "c")
	w.Image(t, c.ID, 5)
	grow(5)
	return size
}

// disk is the bytes of all files.
func disk(t *testing.T, w *cullettest.World) int64 { return w.Check(t).Bytes }

func remove(t *testing.T, w *cullettest.World, ref string) cullet.TrashItem {
	t.Helper()
	item, err := w.Bin.DeleteProject(ctx, w.By, ref)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

// TestPreview: a dry run says what would be freed and what is shared and stays, for one
// item, for several together, and for the next days of cleanup; and changes nothing.
func TestPreview(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		size := world(t, w)
		a := remove(t, w, "a")
		w.Clock.Advance(time.Hour)
		p, err := w.Book.Preview(ctx, w.By, account.Choice{Items: []string{a.ID}})
		if err != nil {
			t.Fatal(err)
		}
		if want := size.of(t, w, 1, 2); p.Weight.FreedBytes != want || p.Weight.FreedFiles != 4 {
			t.Errorf("a alone frees %d bytes in %d files, want %d in 4", p.Weight.FreedBytes, p.Weight.FreedFiles, want)
		}
		if want := size.of(t, w, 3); p.Weight.SharedBytes != want || p.Weight.SharedFiles != 2 {
			t.Errorf("C4: a shares %d bytes in %d files, want %d in 2", p.Weight.SharedBytes, p.Weight.SharedFiles, want)
		}
		if len(p.Sharers) != 1 || p.Sharers[0].Slug != "b" || p.Sharers[0].Trashed || p.Foreign != 0 {
			t.Errorf("shared with %+v and %d more, want b", p.Sharers, p.Foreign)
		}
		if p.Sums.Images != 3 || p.Sums.Versions != 1 {
			t.Errorf("it holds %+v", p.Sums)
		}
		b := remove(t, w, "b")
		if p, err = w.Book.Preview(ctx, w.By, account.Choice{Items: []string{b.ID, a.ID, a.ID, "ti_none"}}); err != nil {
			t.Fatal(err)
		}
		if want := size.of(t, w, 1, 2, 3, 4); p.Weight.FreedBytes != want || p.Weight.SharedFiles != 0 || len(p.Goes) != 2 || len(p.Stays) != 1 {
			t.Errorf("a and b free %d bytes, share %d files, %d go, %d stay; want %d, 0, 2, 1", p.Weight.FreedBytes, p.Weight.SharedFiles, len(p.Goes), len(p.Stays), want)
		}
		for within, want := range map[time.Duration]int64{29 * cullettest.Day: 0, 30*cullettest.Day - time.Minute: size.of(t, w, 1, 2), 30 * cullettest.Day: size.of(t, w, 1, 2, 3, 4)} {
			if p, err = w.Book.Preview(ctx, w.By, account.Choice{Within: within}); err != nil || p.Weight.FreedBytes != want {
				t.Errorf("within %v cleanup frees %d bytes, %v; want %d", within, p.Weight.FreedBytes, err, want)
			}
		}
		if _, err := w.Bin.Hold(ctx, w.Person(), []string{b.ID}, "court"); err != nil {
			t.Fatal(err)
		}
		if p, err = w.Book.Preview(ctx, w.By, account.Choice{Within: 31 * cullettest.Day}); err != nil || p.Weight.Items != 1 || len(p.Stays) != 1 || p.Weight.FreedBytes != size.of(t, w, 1, 2) {
			t.Errorf("C8: with b held %d items go, %d stay, %d bytes are freed, %v", p.Weight.Items, len(p.Stays), p.Weight.FreedBytes, err)
		}
		if items, err := w.Bin.List(ctx, w.By); err != nil || len(items) != 2 {
			t.Errorf("a dry run changed the Trash: %d items, %v", len(items), err)
		}
	})
}

// TestPreviewCountsChildrenOnce: what a version in Trash by itself and its project free
// together is counted once.
func TestPreviewCountsChildrenOnce(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		world(t, w)
		v, err := w.Bin.DeleteVersion(ctx, w.By, "a", 1)
		if err != nil {
			t.Fatal(err)
		}
		alone, err := w.Book.Preview(ctx, w.By, account.Choice{Items: []string{v.ID}})
		if err != nil || alone.Weight.FreedBytes != 0 || alone.Weight.SharedFiles != 3 {
			t.Errorf("C4: a version whose images are in the project frees %+v, %v", alone.Weight, err)
		}
		a := remove(t, w, "a")
		one, err := w.Book.Preview(ctx, w.By, account.Choice{Items: []string{a.ID}})
		if err != nil {
			t.Fatal(err)
		}
		if one.Sums.Versions != 1 || one.Sums.Images != a.Contents.Images+v.Contents.Images {
			t.Errorf("the project with the version that goes along holds %+v", one.Sums)
		}
		both, err := w.Book.Preview(ctx, w.By, account.Choice{Items: []string{v.ID, a.ID}})
		if both.Sums.Versions != one.Sums.Versions || both.Sums.Images != one.Sums.Images {
			t.Errorf("the project and its version hold %+v", both.Sums)
		}
		if err != nil || both.Weight.FreedBytes != one.Weight.FreedBytes || one.Weight.FreedFiles != 4 || both.Weight.FreedFiles != 4 {
			t.Errorf("the project frees %+v, with its version %+v, %v; want the same", one.Weight, both.Weight, err)
		}
	})
}

// TestStorage: logical bytes are exact at every commit; files are counted in the
// background, each once, and the parts sum to what is on the disk (D9).
func TestStorage(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		size := world(t, w)
		w.Export(t, "a", 1, "coco")
		before, err := w.Book.Storage(ctx, w.By)
		if err != nil || before.Trash != 0 || !before.Files.CountedAt.IsZero() {
			t.Fatalf("%+v, %v", before, err)
		}
		b := remove(t, w, "b")
		after, err := w.Book.Storage(ctx, w.By)
		if err != nil || after.Trash != b.Contents.Bytes || after.Active+after.Trash != before.Active || after.Items != 1 {
			t.Errorf("D9: active %d -> %d, Trash %d, %v; the item holds %d", before.Active, after.Active, after.Trash, err, b.Contents.Bytes)
		}
		if err := w.Book.Count(ctx); err != nil {
			t.Fatal(err)
		}
		s, err := w.Book.Storage(ctx, w.By)
		if err != nil || !s.Files.CountedAt.Equal(w.Clock.Now().UTC().Truncate(time.Microsecond)) {
			t.Fatalf("counted at %v, %v", s.Files.CountedAt, err)
		}
		if got, want := s.Files.Total(), disk(t, w); got != want {
			t.Errorf("the parts sum to %d, on the disk are %d", got, want)
		}
		if s.Files.Trash != size.of(t, w, 4) || s.Files.Shared != size.of(t, w, 3) || s.Files.Derived == 0 {
			t.Errorf("in Trash alone %d, shared %d, derived %d; want %d, %d, more than 0", s.Files.Trash, s.Files.Shared, s.Files.Derived, size.of(t, w, 4), size.of(t, w, 3))
		}
		for _, p := range s.Files.Projects {
			if p.Slug == "b" && (p.Own != size.of(t, w, 4) || p.Shared != size.of(t, w, 3) || !p.Trashed || p.Logical != b.Contents.Bytes) {
				t.Errorf("b: %+v", p)
			}
		}
		item, err := w.Bin.Item(ctx, w.By, b.ID)
		if err != nil || item.FreeableBytes != size.of(t, w, 4) || item.SharedBytes != size.of(t, w, 3) || item.CountedAt.IsZero() {
			t.Errorf("the item: frees %d, shares %d, counted at %v, %v", item.FreeableBytes, item.SharedBytes, item.CountedAt, err)
		}
	})
}

// TestSharerGoes: what an item would free is brought up to date when somebody who
// shared its bytes was purged.
func TestSharerGoes(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		size := world(t, w)
		a := remove(t, w, "a")
		w.Clock.Advance(cullettest.Day)
		b := remove(t, w, "b")
		if err := w.Book.Count(ctx); err != nil {
			t.Fatal(err)
		}
		w.Pass(t, 29*cullettest.Day)
		if err := purge.NewEngine(w.DB, w.Blobs, time.Minute, slog.New(slog.DiscardHandler)).Round(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Bin.Item(ctx, w.By, a.ID); err == nil {
			t.Fatal("a is not gone")
		}
		if err := w.Book.Count(ctx); err != nil {
			t.Fatal(err)
		}
		item, err := w.Bin.Item(ctx, w.By, b.ID)
		if err != nil || item.SharedBytes != 0 || item.FreeableBytes != size.of(t, w, 3, 4) {
			t.Errorf("after its sharer is gone b frees %d and shares %d, %v; want %d and 0", item.FreeableBytes, item.SharedBytes, err, size.of(t, w, 3, 4))
		}
	})
}

// TestForeign: nothing is told of another workspace's projects but that there are some.
func TestForeign(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		world(t, w)
		a := remove(t, w, "a")
		other := w.Another(t, "Other")
		p := other.Project(t, "secret")
		other.Image(t, p.ID, 1)
		got, err := w.Book.Preview(ctx, w.By, account.Choice{Items: []string{a.ID}})
		if err != nil || got.Foreign != 1 || len(got.Sharers) != 1 || got.Weight.SharedFiles != 4 {
			t.Errorf("C4: %+v, %d foreign, %+v, %v", got.Sharers, got.Foreign, got.Weight, err)
		}
		if _, err := w.Book.Preview(ctx, other.By, account.Choice{Items: []string{a.ID}}); err != nil {
			t.Fatal(err)
		}
		foreign, err := w.Book.Preview(ctx, other.By, account.Choice{Items: []string{a.ID}})
		if err != nil || len(foreign.Goes) != 0 || foreign.Stays[0].Item.ID != "" {
			t.Errorf("another workspace's item: %+v, %v", foreign, err)
		}
	})
}

// TestPreviewBehindHeld: however many held items are due first, a dry run counts what goes.
func TestPreviewBehindHeld(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		size := world(t, w)
		item := remove(t, w, "a")
		_, err := w.DB.Conn().Writer.ExecContext(ctx, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
			INSERT INTO trash_items (id, target_id, effective_at, held_at, workspace_id, type, number, name, slug, project_id, version_id, deleted_at, deleted_by,
				deleted_by_name, deleted_means, cleanup_at, state, revision, contents, bytes, purge_order, problem)
			SELECT s.id || '-' || n.i, s.target_id || '-' || n.i, s.effective_at - n.i, 1, s.workspace_id, s.type, s.number, s.name, s.slug, s.project_id, s.version_id, s.deleted_at, s.deleted_by,
				s.deleted_by_name, s.deleted_means, s.cleanup_at, s.state, s.revision, s.contents, s.bytes, s.purge_order, s.problem
			FROM trash_items s, n WHERE s.id = $1`, item.ID)
		if err != nil {
			t.Fatal(err)
		}
		p, err := w.Book.Preview(ctx, w.By, account.Choice{Within: 31 * cullettest.Day})
		if err != nil || p.Weight.Items != 1 || p.Weight.FreedBytes != size.of(t, w, 1, 2) || len(p.Goes) != 1 || p.Sums.Images != 3 || len(p.Stays) != account.MostListed {
			t.Errorf("%d go (%d listed, %d images) and free %d bytes, %d listed stay, %v; want 1 that frees %d", p.Weight.Items, len(p.Goes), p.Sums.Images,
				p.Weight.FreedBytes, len(p.Stays), err, size.of(t, w, 1, 2))
		}
	})
}

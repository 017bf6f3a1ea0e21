// Package blobtest is the suite that every blob driver passes.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
)

// Start is when the suite's clock begins.
var Start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// Clock stands still until it is moved.
type Clock struct {
	cullet.Clock // nil: a store needs no timer
	mu           sync.Mutex
	now          time.Time
}

// NewClock makes a clock that stands at Start.
func NewClock() *Clock { return &Clock{now: Start} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Move moves the clock, also back.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Run runs the suite. open makes an empty driver each time it is called.
func Run(t *testing.T, open func(t *testing.T) blob.Driver) {
	for name, test := range map[string]func(*testing.T, blob.Driver){
		"PutOpen":         testPutOpen,
		"Import":          testImport,
		"SameBytesTwice":  testSameBytesTwice,
		"Seek":            testSeek,
		"TooLarge":        testTooLarge,
		"ReaderFails":     testReaderFails,
		"Cancelled":       testCancelled,
		"Remove":          testRemove,
		"RemoveWhileRead": testRemoveWhileRead,
		"BadPaths":        testBadPaths,
		"List":            testList,
		"ListWhileGoing":  testListWhileGoing,
		"Quarantine":      testQuarantine,
		"SweepTemp":       testSweepTemp,
		"SweptDraft":      testSweptDraft,
		"AtOnce":          testAtOnce,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func testPutOpen(t *testing.T, d blob.Driver) {
	clock := NewClock()
	s := blob.New(d, clock)
	for _, size := range []int{0, 1, 128 << 10, 128<<10 + 1, 1 << 20} {
		data := randomBytes(uint64(size), size)
		// One byte a read, now and then with the error beside it.
		var r io.Reader = bytes.NewReader(data)
		if size < 1000 {
			r = iotest.DataErrReader(iotest.OneByteReader(r))
		}
		got, err := s.Put(t.Context(), r, int64(size)) // exactly the most is allowed
		if err != nil {
			t.Fatalf("Put of %d bytes: %v", size, err)
		}
		sum := sha256.Sum256(data)
		digest := hex.EncodeToString(sum[:])
		if got.Digest != digest || got.Bytes != int64(size) || !strings.HasPrefix(got.Path, digest[:2]+"/"+digest+"-") {
			t.Errorf("Put of %d bytes = %+v, want digest %s", size, got, digest)
		}
		if back := read(t, s, got.Path); !bytes.Equal(back, data) {
			t.Errorf("%d bytes came back as %d other ones", size, len(back))
		}
		if again, err := s.Digest(t.Context(), got.Path); err != nil || again != digest {
			t.Errorf("Digest = %s, %v, want %s", again, err, digest)
		}
	}
	wantAreas(t, d, 5, 0, 0)
}

// Import keeps another store's blob under its path there, when its bytes are those
// that the path names; else nothing is left.
func testImport(t *testing.T, d blob.Driver) {
	s := blob.New(d, NewClock())
	p := put(t, s, "one")
	if err := s.Remove(t.Context(), p.Path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Import(t.Context(), p.Path, strings.NewReader("two")); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("other bytes: %v, want ErrCorrupt", err)
	}
	if _, err := s.Import(t.Context(), p.Path, iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("one")))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("a reader that fails: %v", err)
	}
	for _, path := range []string{"../" + p.Path, "/etc/passwd", p.Path + "x", "00/" + p.Path[3:], ""} {
		if _, err := s.Import(t.Context(), path, strings.NewReader("one")); !errors.Is(err, blob.ErrPath) {
			t.Errorf("the path %q: %v, want ErrPath", path, err)
		}
	}
	wantAreas(t, d, 0, 0, 0)
	for range 2 { // again is harmless
		if n, err := s.Import(t.Context(), p.Path, strings.NewReader("one")); n != 3 || err != nil {
			t.Fatalf("Import = %d, %v", n, err)
		}
	}
	if got := read(t, s, p.Path); string(got) != "one" {
		t.Errorf("it came back as %q", got)
	}
	err := s.Unsettled(t.Context(), Start.AddDate(1, 0, 0), func(path string) error { t.Errorf("%s is pending", path); return nil })
	if err != nil {
		t.Fatal(err)
	}
	wantAreas(t, d, 1, 0, 0)
}

// C4: the same bytes put again are another blob, so that removing the one never
// takes the other.
func testSameBytesTwice(t *testing.T, d blob.Driver) {
	s := blob.New(d, NewClock())
	one, two := put(t, s, "same"), put(t, s, "same")
	if one.Digest != two.Digest || one.Path == two.Path {
		t.Fatalf("the same bytes gave %+v and %+v, want one digest and two paths (C4)", one, two)
	}
	if err := s.Remove(t.Context(), one.Path); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, two.Path); string(got) != "same" {
		t.Errorf("after the removal of its twin the blob holds %q", got)
	}
}

func testSeek(t *testing.T, d blob.Driver) {
	s := blob.New(d, NewClock())
	r, size, err := s.Open(t.Context(), put(t, s, "0123456789").Path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if size != 10 {
		t.Errorf("size = %d, want 10", size)
	}
	if at, err := r.Seek(-3, io.SeekEnd); at != 7 || err != nil {
		t.Fatalf("Seek = %d, %v", at, err)
	}
	if rest, err := io.ReadAll(r); string(rest) != "789" || err != nil {
		t.Errorf("after the seek: %q, %v", rest, err)
	}
}

func testTooLarge(t *testing.T, d blob.Driver) {
	s := blob.New(d, NewClock())
	for _, max := range []int64{0, 5, 9} {
		_, err := s.Put(t.Context(), strings.NewReader("0123456789"), max)
		if cullet.CodeOf(err) != cullet.TooLarge {
			t.Errorf("10 bytes where %d are the most: %v, want too_large", max, err)
		}
	}
	// A body that never ends is refused, not read to its end.
	if _, err := s.Put(t.Context(), endless{}, 1<<20); cullet.CodeOf(err) != cullet.TooLarge {
		t.Errorf("an endless body: %v, want too_large", err)
	}
	wantAreas(t, d, 0, 0, 0)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func testReaderFails(t *testing.T, d blob.Driver) {
	s := blob.New(d, NewClock())
	broken := errors.New("the line is dead")
	r := io.MultiReader(strings.NewReader("half of "), iotest.ErrReader(broken))
	if _, err := s.Put(t.Context(), r, blob.NoLimit); !errors.Is(err, broken) {
		t.Errorf("Put = %v, want the reader's own error in it", err)
	}
	wantAreas(t, d, 0, 0, 0)
}

func testCancelled(t *testing.T, d blob.Driver) {
	s := blob.New(d, NewClock())
	ctx, cancel := context.WithCancel(t.Context())
	r := io.MultiReader(strings.NewReader("half of "), readerFunc(func(p []byte) (int, error) {
		cancel()
		return len(p), nil
	}))
	if _, err := s.Put(ctx, r, blob.NoLimit); !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v, want cancelled", err)
	}
	wantAreas(t, d, 0, 0, 0)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func testRemove(t *testing.T, d blob.Driver) {
	s := blob.New(d, NewClock())
	path := put(t, s, "going").Path
	for range 2 { // again is harmless: a purge that was killed does it again
		if err := s.Remove(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.Open(t.Context(), path); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Open = %v, want ErrNotFound", err)
	}
	if _, err := s.Digest(t.Context(), path); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Digest = %v, want ErrNotFound", err)
	}
	if err := s.Quarantine(t.Context(), path); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Quarantine = %v, want ErrNotFound", err)
	}
	wantAreas(t, d, 0, 0, 0)
}

// A download that has begun ends well although its blob goes.
func testRemoveWhileRead(t *testing.T, d blob.Driver) {
	s := blob.New(d, NewClock())
	path := put(t, s, "going").Path
	r, _, err := s.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := s.Remove(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); string(got) != "going" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func testBadPaths(t *testing.T, d blob.Driver) {
	s := blob.New(d, NewClock())
	good := put(t, s, "good").Path
	for _, path := range []string{"", ".", "..", "/", good + "/", "/" + good, "../objects/" + good, good[3:],
		"zz" + good[2:], strings.ToUpper(good), good + "\x00", good + "\n", good[:len(good)-1], good[:3] + "../" + good[3:],
		"00/" + strings.Repeat("1", 64) + "-" + strings.Repeat("0", 24), // another folder than its digest's
		"../../../../etc/passwd", strings.Repeat("a", 10_000), `..\..\x`} {
		_, _, open := s.Open(t.Context(), path)
		_, digest := s.Digest(t.Context(), path)
		for act, err := range map[string]error{"Open": open, "Digest": digest,
			"Remove": s.Remove(t.Context(), path), "Quarantine": s.Quarantine(t.Context(), path)} {
			if !errors.Is(err, blob.ErrPath) {
				t.Errorf("%s(%.80q) = %v, want ErrPath", act, path, err)
			}
		}
	}
	wantAreas(t, d, 1, 0, 0)
}

func testList(t *testing.T, d blob.Driver) {
	clock := NewClock()
	s := blob.New(d, clock)
	want := map[string]blob.Info{}
	for i := range 600 {
		clock.Move(time.Second)
		p := put(t, s, strings.Repeat("x", i%7)+fmt.Sprint(i))
		want[p.Path] = blob.Info{Path: p.Path, Bytes: p.Bytes, ModTime: clock.Now()}
	}
	err := s.List(t.Context(), func(i blob.Info) error {
		w, ok := want[i.Path]
		if !ok || i.Bytes != w.Bytes || !i.ModTime.Equal(w.ModTime) {
			t.Errorf("listed %+v, want %+v once", i, w)
		}
		delete(want, i.Path)
		return nil
	})
	if err != nil || len(want) > 0 {
		t.Errorf("List = %v, and left out %d", err, len(want))
	}
	enough, n := errors.New("enough"), 0
	err = s.List(t.Context(), func(blob.Info) error { n++; return enough })
	if !errors.Is(err, enough) || n != 1 {
		t.Errorf("List = %v after %d calls, want it to end with the first error", err, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.List(ctx, func(blob.Info) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("List = %v, want cancelled", err)
	}
}

// The collector removes while it lists.
func testListWhileGoing(t *testing.T, d blob.Driver) {
	s := blob.New(d, NewClock())
	for i := range 100 {
		put(t, s, fmt.Sprint(i))
	}
	err := s.List(t.Context(), func(i blob.Info) error { return s.Remove(t.Context(), i.Path) })
	if err != nil {
		t.Fatal(err)
	}
	wantAreas(t, d, 0, 0, 0)
}

// C5: what fsck finds is moved, and goes only when it has been there its time.
func testQuarantine(t *testing.T, d blob.Driver) {
	clock := NewClock()
	s := blob.New(d, clock)
	old, kept := put(t, s, "orphan"), put(t, s, "kept")
	clock.Move(90 * 24 * time.Hour) // its age before the quarantine does not count
	if err := s.Quarantine(t.Context(), old.Path); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Open(t.Context(), old.Path); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Open of what is in quarantine = %v, want ErrNotFound", err)
	}
	wantAreas(t, d, 1, 0, 1)
	sweep := func(want int) {
		t.Helper()
		n, err := s.SweepQuarantine(t.Context(), clock.Now().Add(-30*24*time.Hour))
		if n != want || err != nil {
			t.Errorf("SweepQuarantine = %d, %v, want %d", n, err, want)
		}
	}
	sweep(0)
	clock.Move(30 * 24 * time.Hour)
	sweep(0) // on the second: not before
	clock.Move(time.Second)
	sweep(1)
	sweep(0)
	wantAreas(t, d, 1, 0, 0)
	if got := read(t, s, kept.Path); string(got) != "kept" {
		t.Errorf("the other blob holds %q", got)
	}
}

// What a killed server left behind is a draft that nobody ended.
func testSweepTemp(t *testing.T, d blob.Driver) {
	clock := NewClock()
	s := blob.New(d, clock)
	leave := func() { // as a kill -9 in the middle of a Put would
		t.Helper()
		defer func() { _ = recover() }()
		_, _ = s.Put(t.Context(), readerFunc(func([]byte) (int, error) { panic("killed") }), blob.NoLimit)
	}
	leave()
	clock.Move(time.Hour)
	leave()
	wantAreas(t, d, 0, 2, 0)
	if n, err := s.SweepTemp(t.Context(), clock.Now()); n != 1 || err != nil {
		t.Errorf("SweepTemp = %d, %v, want the older of two", n, err)
	}
	if n, err := s.SweepTemp(t.Context(), clock.Now().Add(time.Second)); n != 1 || err != nil {
		t.Errorf("SweepTemp = %d, %v, want the other", n, err)
	}
	wantAreas(t, d, 0, 0, 0)
}

// A Put that is swept while it writes fails; it never returns a path of nothing.
func testSweptDraft(t *testing.T, d blob.Driver) {
	clock := NewClock()
	s := blob.New(d, clock)
	r := io.MultiReader(strings.NewReader("slow"), readerFunc(func([]byte) (int, error) {
		clock.Move(48 * time.Hour)
		if n, err := s.SweepTemp(t.Context(), clock.Now().Add(-24*time.Hour)); n != 1 || err != nil {
			t.Errorf("SweepTemp = %d, %v, want 1", n, err)
		}
		return 0, io.EOF
	}))
	if got, err := s.Put(t.Context(), r, blob.NoLimit); err == nil {
		t.Errorf("Put of a swept draft = %+v, want an error", got)
	}
	wantAreas(t, d, 0, 0, 0)
}

// C4: putting and removing the same bytes from many sides at once never takes a
// blob from the one who put it.
func testAtOnce(t *testing.T, d blob.Driver) {
	s := blob.New(d, NewClock())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 20 {
				p, err := s.Put(t.Context(), strings.NewReader(fmt.Sprint(i%3)), blob.NoLimit)
				if err != nil {
					t.Error(err)
					return
				}
				if digest, err := s.Digest(t.Context(), p.Path); err != nil || digest != p.Digest {
					t.Errorf("Digest = %s, %v (C4)", digest, err)
				}
				if err := s.Remove(t.Context(), p.Path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantAreas(t, d, 0, 0, 0)
}

func put(t *testing.T, s *blob.Store, text string) blob.Stored {
	t.Helper()
	p, err := s.Put(t.Context(), strings.NewReader(text), blob.NoLimit)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func read(t *testing.T, s *blob.Store, path string) []byte {
	t.Helper()
	r, size, err := s.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != size {
		t.Fatalf("read %d bytes, %v, of a blob of %d", len(b), err, size)
	}
	return b
}

func randomBytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// wantAreas compares what the driver holds with what should be left.
func wantAreas(t *testing.T, d blob.Driver, objects, temp, quarantined int) {
	t.Helper()
	for area, want := range map[blob.Area]int{blob.Objects: objects, blob.Temp: temp, blob.Quarantined: quarantined} {
		n := 0
		if err := d.List(t.Context(), area, func(blob.Info) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		if n != want {
			t.Errorf("%s holds %d, want %d", area, n, want)
		}
	}
}

// Package blob keeps immutable bytes by digest.
//
// A blob is written once and never changed. Its path is the digest of its bytes
// and a random suffix, and is used once: the same bytes put again are another
// blob, so that whoever collects the old one and whoever puts the new one need
// no lock between them (C4). Which blobs are referred to is the store's business;
// nothing here counts references, and nothing here unlinks by itself.
//
// Invariants, kept by every driver and proven by package blobtest:
//   - A path that Put returned names bytes that survive a power cut.
//   - A Put that fails leaves neither an object nor a draft behind; one that is
//     killed leaves a draft, which SweepTemp removes.
//   - What is listed, opened or removed has a path of the one shape that Put
//     makes. Nothing else can be named, inside the store's folder or outside.
//
// Store is the portable half and is safe for concurrent use; a Driver is the
// small half that knows a file system or a bucket.
package blob

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/failpoint"
)

// ErrNotFound is what Open, Digest and Quarantine wrap where there is no blob.
var ErrNotFound = errors.New("no such blob")

// ErrPath is what is wrapped where a path is none that Put can have returned: a
// row that holds it was tampered with, or somebody wants out of the store's folder.
var ErrPath = errors.New("no blob has such a path")

// ErrFull is what drivers wrap where there is no room left. Put turns it into a
// refusal with the code cullet.Unavailable.
var ErrFull = errors.New("no space left")

// NoLimit lets Put take any number of bytes.
const NoLimit = math.MaxInt64

// Area is a part of a driver's keeping.
type Area string

// The areas. A blob is in exactly one of the first three.
const (
	Objects     Area = "objects"    // what rows may refer to
	Temp        Area = "tmp"        // drafts that are being written, or were when the server was killed
	Quarantined Area = "quarantine" // what fsck moved away because no row refers to it (C5)
	Pending     Area = "pending"    // marks of objects of which it is not known yet whether a row will refer to them
)

// Areas lists all areas.
func Areas() []Area { return []Area{Objects, Temp, Quarantined, Pending} }

// Info is what is known of a blob without reading it.
type Info struct {
	Path    string
	Bytes   int64
	ModTime time.Time // when it was put, by the clock handed to New where the driver can keep that
}

// ErrCorrupt is what is wrapped where bytes are not those that their path names.
var ErrCorrupt = errors.New("the bytes are not those that were put")

// Driver keeps bytes under names that the Store chooses. Names are relative,
// with "/" between at most two parts, and need no checking or escaping.
// All methods may be called at once from many goroutines. An error that means
// "there is none" wraps ErrNotFound, one that means "no room" wraps ErrFull.
type Driver interface {
	// Create begins a draft, which a List of Temp shows under that name until it
	// is committed or discarded.
	Create(ctx context.Context, name string) (Draft, error)
	// Open opens an object for reading and says how long it is.
	Open(ctx context.Context, name string) (io.ReadSeekCloser, int64, error)
	// Remove removes for good. It wraps ErrNotFound where there is none.
	Remove(ctx context.Context, area Area, name string) error
	// List calls fn for everything in the area, in any order and in bounded
	// memory, and ends with the first error of fn. What comes or goes meanwhile
	// may be listed or not.
	List(ctx context.Context, area Area, fn func(Info) error) error
	// Quarantine moves an object to Quarantined under another name, without a
	// moment in which it is in neither, and makes the move durable.
	Quarantine(ctx context.Context, name, to string) error
}

// Draft is a blob on its way in. It ends with one call of Commit or Discard.
type Draft interface {
	io.Writer
	// Commit makes the draft the object of that name, put at that time, and marks
	// it in Pending under the part of the name behind the slash. When it returns
	// nil, the object survives a power cut (its mark need not); when it returns an
	// error, neither draft, mark nor object is left.
	Commit(ctx context.Context, name string, now time.Time) error
	// Discard gives the draft up.
	Discard() error
}

// Stored is a blob that was put.
type Stored struct {
	Digest string // SHA-256 of the bytes, hexadecimal
	Bytes  int64
	Path   string // of shape <aa>/<digest>-<random>; no other Put returns the same
}

// Store keeps blobs with a driver.
type Store struct {
	driver Driver
	clock  cullet.Clock
}

// New makes a store on the driver.
func New(d Driver, clock cullet.Clock) *Store { return &Store{driver: d, clock: clock} }

// Put reads r to its end and keeps its bytes as a new blob. It refuses more than
// max bytes with the code too_large as soon as they have come, and with unavailable
// a full disk and a driver that did not keep what it said it keeps; an error of r
// itself is wrapped as it is. Whatever the failure, nothing is left behind, and
// putting again is safe.
func (s *Store) Put(ctx context.Context, r io.Reader, max int64) (Stored, error) {
	draft, err := s.driver.Create(ctx, s.stamped(random()))
	if err != nil {
		return Stored{}, s.refuse("begin a blob", err)
	}
	sum := sha256.New()
	n, err := copyAtMost(ctx, draft, sum, r, max)
	if err != nil {
		return Stored{}, s.refuse("write a blob", errors.Join(err, discarded(draft)))
	}
	digest := hex.EncodeToString(sum.Sum(nil))
	path := digest[:2] + "/" + digest + "-" + random()
	if err := draft.Commit(ctx, path, s.clock.Now()); err != nil {
		return Stored{}, s.refuse("commit a blob", err)
	}
	if err := s.kept(ctx, path, n); err != nil {
		return Stored{}, errors.Join(err, s.Remove(context.WithoutCancel(ctx), path))
	}
	return Stored{Digest: digest, Bytes: n, Path: path}, nil
}

// kept looks whether the driver keeps what it says it keeps: a row must never refer
// to bytes that are not there. Bytes that were changed, fsck finds.
func (s *Store) kept(ctx context.Context, path string, n int64) error {
	r, got, err := s.driver.Open(ctx, path)
	if err == nil {
		err = r.Close()
	}
	if err == nil && got == n {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("blob %s has %d bytes instead of %d right after it was committed", path, got, n)
	}
	return &cullet.Error{Code: cullet.Unavailable, Err: err,
		Message: "the server's storage did not keep what was sent; nothing was taken. Send it again, and tell the operator if that does not help"}
}

// Import keeps a copy of another store's blob under the very path that it has
// there, so that rows which came along refer to it, and says how long it is. What
// the digest in the path is not that of is refused with ErrCorrupt. It is not
// pending: its row is known. One that is there already is replaced.
func (s *Store) Import(ctx context.Context, path string, r io.Reader) (int64, error) {
	if err := check(path); err != nil {
		return 0, err
	}
	draft, err := s.driver.Create(ctx, s.stamped(random()))
	if err != nil {
		return 0, s.refuse("begin a blob", err)
	}
	sum := sha256.New()
	n, err := copyAtMost(ctx, draft, sum, r, NoLimit)
	if digest := hex.EncodeToString(sum.Sum(nil)); err == nil && digest != digestOf(path) {
		err = fmt.Errorf("%s has the digest %s: %w", path, digest, ErrCorrupt)
	}
	if err != nil {
		return 0, s.refuse("copy a blob", errors.Join(err, discarded(draft)))
	}
	if err := draft.Commit(ctx, path, s.clock.Now()); err != nil {
		return 0, s.refuse("commit a blob", err)
	}
	return n, s.Settle(ctx, path)
}

func digestOf(path string) string { return path[len("aa/") : len("aa/")+2*sha256.Size] }

// CheckPath refuses, with ErrPath, what is not the path of a blob with that digest.
func CheckPath(path, digest string) error {
	if err := check(path); err != nil {
		return err
	}
	if digestOf(path) != digest {
		return fmt.Errorf("%s is not the path of bytes with the digest %.100q: %w", path, digest, ErrPath)
	}
	return nil
}

func discarded(d Draft) error {
	if err := d.Discard(); err != nil {
		return fmt.Errorf("discard the draft: %w", err)
	}
	return nil
}

// refuse says in words what a person can act on, and wraps the rest.
func (s *Store) refuse(doing string, err error) error {
	if errors.Is(err, ErrFull) {
		return &cullet.Error{Code: cullet.Unavailable, Err: err,
			Message: "the server has no disk space left to keep this; free some, then send it again"}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// copyBuffers are shared, so that a thousand uploads do not make a thousand.
var copyBuffers = sync.Pool{New: func() any { return new([128 << 10]byte) }}

// copyAtMost copies r into the draft and the hash, and refuses byte max+1.
func copyAtMost(ctx context.Context, draft, sum io.Writer, r io.Reader, max int64) (int64, error) {
	buf := copyBuffers.Get().(*[128 << 10]byte)
	defer copyBuffers.Put(buf)
	total := int64(0)
	for {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		n, rerr := r.Read(buf[:])
		if int64(n) > max-total {
			return total, cullet.E(cullet.TooLarge, "this is larger than %d bytes, which is the most that is taken here", max)
		}
		total += int64(n)
		_, _ = sum.Write(buf[:n]) // a hash never fails
		if n > 0 {
			if _, err := draft.Write(buf[:n]); err != nil {
				return total, err
			}
		}
		if rerr == io.EOF {
			return total, nil
		}
		if rerr != nil {
			return total, fmt.Errorf("read the bytes to keep: %w", rerr)
		}
	}
}

// Open opens a blob for reading and says how long it is. The error wraps
// ErrNotFound where there is none. The caller closes it.
func (s *Store) Open(ctx context.Context, path string) (io.ReadSeekCloser, int64, error) {
	if err := check(path); err != nil {
		return nil, 0, err
	}
	r, n, err := s.driver.Open(ctx, path)
	if err != nil {
		return nil, 0, fmt.Errorf("open blob %s: %w", path, err)
	}
	return r, n, nil
}

// Digest reads a blob again and returns the SHA-256 of its bytes, hexadecimal.
// The error wraps ErrNotFound where there is none.
func (s *Store) Digest(ctx context.Context, path string) (string, error) {
	r, _, err := s.Open(ctx, path)
	if err != nil {
		return "", err
	}
	defer r.Close()
	sum := sha256.New()
	if _, err := copyAtMost(ctx, io.Discard, sum, r, NoLimit); err != nil {
		return "", fmt.Errorf("digest blob %s: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Remove removes a blob for good. One that is not there is no error, so that a
// removal that was killed can be done again. It need not be durable: a blob that
// a power cut brings back has no row, and fsck finds it (C5).
func (s *Store) Remove(ctx context.Context, path string) error {
	if err := check(path); err != nil {
		return err
	}
	if err := s.driver.Remove(ctx, Objects, path); err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("remove blob %s: %w", path, err)
	}
	failpoint.Pass("blob.removed")
	return s.Settle(ctx, path)
}

// Settle says that a row refers to the blob that was put, so that it is pending
// no more. Doing it again is harmless; not doing it costs a look at the next start.
func (s *Store) Settle(ctx context.Context, path string) error {
	if err := check(path); err != nil {
		return err
	}
	if err := s.driver.Remove(ctx, Pending, path[len("aa/"):]); err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("settle blob %s: %w", path, err)
	}
	failpoint.Pass("blob.settled")
	return nil
}

// Unsettled calls fn with each blob that was put before the given time and is
// still pending: what a server left that was killed between the bytes and their
// row. The caller knows the rows, and answers with Settle or Remove.
func (s *Store) Unsettled(ctx context.Context, before time.Time, fn func(path string) error) error {
	return s.driver.List(ctx, Pending, func(i Info) error {
		path := i.Path[:min(2, len(i.Path))] + "/" + i.Path
		if check(path) != nil || !i.ModTime.Before(before) {
			return nil
		}
		return fn(path)
	})
}

// List calls fn for each blob, in no order, until fn returns an error, which List
// returns. It holds none of them in memory. Files that lie in the store's folder
// under a name that Put never gives are not ours and are left out.
func (s *Store) List(ctx context.Context, fn func(Info) error) error {
	return s.driver.List(ctx, Objects, func(i Info) error {
		if check(i.Path) != nil {
			return nil
		}
		return fn(i)
	})
}

// Quarantine moves a blob out of the way, from where SweepQuarantine removes it
// later. It never unlinks (C5). The error wraps ErrNotFound where there is none.
func (s *Store) Quarantine(ctx context.Context, path string) error {
	if err := check(path); err != nil {
		return err
	}
	if err := s.driver.Quarantine(ctx, path, s.stamped(path[len("aa/"):])); err != nil {
		return fmt.Errorf("quarantine blob %s: %w", path, err)
	}
	return nil
}

// SweepQuarantine removes for good what was quarantined before the given time,
// and says how many. One that cannot be removed stops none of the others.
func (s *Store) SweepQuarantine(ctx context.Context, before time.Time) (n int, err error) {
	return s.sweep(ctx, Quarantined, before)
}

// SweepTemp removes drafts that were begun before the given time, and says how
// many: what a killed server left behind. The time must be older than the longest
// upload; a Put whose draft is swept fails and leaves nothing.
func (s *Store) SweepTemp(ctx context.Context, before time.Time) (n int, err error) {
	return s.sweep(ctx, Temp, before)
}

func (s *Store) sweep(ctx context.Context, area Area, before time.Time) (n int, err error) {
	var failed []error
	err = s.driver.List(ctx, area, func(i Info) error {
		if since, ok := stampOf(i.Path); !ok || !since.Before(before) {
			return nil
		}
		switch err := s.driver.Remove(ctx, area, i.Path); {
		case err == nil:
			n++
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, ErrNotFound) && len(failed) < 10:
			failed = append(failed, err)
		}
		return nil
	})
	if err := errors.Join(append(failed, err)...); err != nil {
		return n, fmt.Errorf("sweep %s: %w", area, err)
	}
	return n, nil
}

// stampForm begins the name of all that is not an object: since when something
// is in quarantine is not its own age, writing moves a draft's date, and a copy
// of the folder keeps names, not dates.
const stampForm = "20060102T150405Z"

// stamped puts the present time before a name, rounded up to the second so that
// nothing is swept early.
func (s *Store) stamped(name string) string {
	return s.clock.Now().Add(time.Second-1).UTC().Format(stampForm) + "_" + name
}

func stampOf(name string) (time.Time, bool) {
	stamp, _, ok := strings.Cut(name, "_")
	t, err := time.Parse(stampForm, stamp)
	return t, ok && err == nil
}

var pathRE = regexp.MustCompile(`^[0-9a-f]{2}/[0-9a-f]{64}-[0-9a-f]{24}$`)

// check refuses a path that Put cannot have returned.
func check(path string) error {
	if !pathRE.MatchString(path) || path[:2] != path[3:5] {
		return fmt.Errorf("%.100q: %w", path, ErrPath)
	}
	return nil
}

// random is 96 random bits: enough that no path is ever used twice.
func random() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

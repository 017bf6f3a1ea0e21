// Package memblob keeps blobs in memory, for tests.
package memblob

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/cullet-vision/cullet/internal/blob"
)

// Driver keeps blobs until it is garbage.
type Driver struct {
	mu   sync.Mutex
	kept map[blob.Area]map[string]kept
}

type kept struct {
	bytes []byte
	at    time.Time
}

// New makes an empty driver.
func New() *Driver {
	d := &Driver{kept: map[blob.Area]map[string]kept{}}
	for _, area := range blob.Areas() {
		d.kept[area] = map[string]kept{}
	}
	return d
}

// Create begins a draft.
func (d *Driver) Create(_ context.Context, name string) (blob.Draft, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept[blob.Temp][name] = kept{}
	return &draft{d: d, name: name}, nil
}

type draft struct {
	d    *Driver
	name string
	buf  bytes.Buffer
}

func (t *draft) Write(p []byte) (int, error) { return t.buf.Write(p) }

func (t *draft) Commit(_ context.Context, name string, now time.Time) error {
	t.d.mu.Lock()
	defer t.d.mu.Unlock()
	if _, ok := t.d.kept[blob.Temp][t.name]; !ok {
		return fmt.Errorf("the draft was swept: %w", blob.ErrNotFound)
	}
	delete(t.d.kept[blob.Temp], t.name)
	t.d.kept[blob.Objects][name] = kept{bytes: t.buf.Bytes(), at: now}
	t.d.kept[blob.Pending][path.Base(name)] = kept{at: now}
	return nil
}

func (t *draft) Discard() error {
	t.d.mu.Lock()
	defer t.d.mu.Unlock()
	delete(t.d.kept[blob.Temp], t.name)
	return nil
}

// Open reads an object.
func (d *Driver) Open(_ context.Context, name string) (io.ReadSeekCloser, int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, ok := d.kept[blob.Objects][name]
	if !ok {
		return nil, 0, blob.ErrNotFound
	}
	return reader{bytes.NewReader(k.bytes)}, int64(len(k.bytes)), nil
}

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }

// Remove forgets.
func (d *Driver) Remove(_ context.Context, area blob.Area, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.kept[area][name]; !ok {
		return blob.ErrNotFound
	}
	delete(d.kept[area], name)
	return nil
}

// List lists what was there when it began, sorted.
func (d *Driver) List(ctx context.Context, area blob.Area, fn func(blob.Info) error) error {
	d.mu.Lock()
	all := maps.Clone(d.kept[area])
	d.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(blob.Info{Path: name, Bytes: int64(len(all[name].bytes)), ModTime: all[name].at}); err != nil {
			return err
		}
	}
	return nil
}

// Quarantine moves an object.
func (d *Driver) Quarantine(_ context.Context, name, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, ok := d.kept[blob.Objects][name]
	if !ok {
		return blob.ErrNotFound
	}
	delete(d.kept[blob.Objects], name)
	d.kept[blob.Quarantined][to] = k
	return nil
}

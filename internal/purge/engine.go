package purge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/failpoint"
	"github.com/cullet-vision/cullet/internal/store"
)

// Engine carries out what is due and what was ordered. Any number of them, in any
// number of processes, share the work.
type Engine struct {
	DB       *store.DB
	Blobs    *blob.Store
	Log      *slog.Logger
	Interval time.Duration // between two looks for what is due (C2)
	Grace    time.Duration // how long cleanup waits when the clock cannot be trusted (C6)

	// ServerTime is the database's own clock, zero where it has none; nil: it has none.
	ServerTime func(ctx context.Context) (time.Time, error)

	worker  string
	held    bool // the log says already that files wait for a backup
	wake    chan struct{}
	size    batchSize
	leaving map[string]*unlinking // by item
	due     time.Time             // next look for what is due
	looked  bool                  // whether this engine has looked at the clock before
}

const (
	lease      = 10 * time.Second // of a worker on an item; renewed with each batch
	retryAfter = 5 * time.Minute  // of what could not be done (C11)
	backupLook = 5 * time.Second  // between two looks whether a backup that holds files has ended
	look       = time.Second      // between two looks for orders and for what others left
	many       = 100              // items looked at in one round
	files      = 1000             // unlinked between two renewals of the lease
	hands      = 4                // that unlink at once: most of it is waiting for the disk
)

// NewEngine makes an engine.
func NewEngine(db *store.DB, blobs *blob.Store, interval time.Duration, log *slog.Logger) *Engine {
	return &Engine{DB: db, Blobs: blobs, Log: log, Interval: interval, Grace: DefaultGrace, worker: cullet.NewID("w"),
		wake: make(chan struct{}, 1), size: batchSize{alone: 500, wanted: 50}, leaving: map[string]*unlinking{}}
}

// Wake has the engine look at once.
func (e *Engine) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Inherit takes over at once what workers held that cannot live any more: for a
// server that knows itself to be the only one. Where it is mistaken, two workers
// take turns, and each batch is still one worker's alone.
func (e *Engine) Inherit(ctx context.Context) error {
	return e.DB.Update(failpoint.In(ctx, "purge.inherit"), func(tx *store.Tx) error { return tx.ReleaseLeases(ctx) })
}

// Run works until the context ends.
func (e *Engine) Run(ctx context.Context) {
	tick := e.DB.Clock().NewTicker(min(look, e.Interval))
	defer tick.Stop()
	for {
		if err := e.Round(ctx); err != nil && ctx.Err() == nil {
			e.Log.Error("cleanup could not go on; it tries again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C():
		case <-e.wake:
		}
	}
}

// Round begins what is due and what was ordered, and works until nothing is left
// to do now. However long that takes, what becomes due meanwhile is begun in time.
func (e *Engine) Round(ctx context.Context) error {
	defer e.land()
	ctx = store.Background(ctx)
	for {
		if err := e.beginInTime(ctx); err != nil {
			return err
		}
		if err := e.orders(ctx); err != nil {
			return err
		}
		worked, err := e.share(ctx)
		if err != nil || !worked {
			return errors.Join(err, e.leftovers(ctx))
		}
	}
}

// beginInTime looks for what is due once an interval. A clock that went back does
// not put the next look off.
func (e *Engine) beginInTime(ctx context.Context) error {
	now := e.DB.Clock().Now()
	if now.Before(e.due) && e.due.Sub(now) <= e.Interval {
		return nil
	}
	e.due = now.Add(e.Interval)
	return e.BeginDue(ctx)
}

// BeginDue begins the purge of every item whose date has come (C1, C2) by a clock
// that can be trusted (C6).
func (e *Engine) BeginDue(ctx context.Context) error {
	watch, err := e.lookAtClock(ctx)
	if err != nil {
		return err
	}
	for {
		var due []cullet.TrashItem
		err := e.DB.View(ctx, func(tx *store.Tx) (err error) {
			due, err = tx.DueItems(ctx, watch, many)
			return err
		})
		if err != nil {
			return err
		}
		begun := 0
		for _, t := range due {
			ok, err := e.begin(ctx, t, watch)
			if err != nil && ctx.Err() != nil {
				return ctx.Err()
			} else if err != nil { // C11: it stops none of the others
				e.delay(ctx, t, err)
			}
			if ok {
				begun++
			}
		}
		if begun == 0 {
			return nil
		}
	}
}

// begin moves one due item to purging. Its date is looked at again inside the
// transaction, against the clock as it was judged: it may have been postponed since.
func (e *Engine) begin(ctx context.Context, t cullet.TrashItem, watch cullet.ClockWatch) (bool, error) {
	begun := false
	err := e.DB.Update(failpoint.In(ctx, "purge.begin"), func(tx *store.Tx) error {
		begun = false
		if _, err := cullet.NextTrash(t.State, cullet.EventPurge); err != nil {
			return err
		}
		w, err := tx.GetWorkspaceByID(ctx, t.Workspace)
		if err != nil {
			return err
		}
		if err := tx.BeginDue(ctx, t, watch.DueBy(w.LiftedWait)); errors.Is(err, store.ErrNoRow) {
			return nil // restored, postponed, held, or begun by another
		} else if err != nil {
			return err
		}
		begun = true
		along, err := tx.GoingAlong(ctx, t.ID)
		if err != nil {
			return err
		}
		return audit(ctx, tx, cleaner(t.Workspace), cullet.ActPurgeBegan, t, along)
	})
	return begun, err
}

func cleaner(workspace string) cullet.Actor {
	return cullet.SystemActor(workspace, "Cleanup", cullet.ByCleanup)
}

func entry(act cullet.Act, t cullet.TrashItem) cullet.AuditEntry {
	return cullet.AuditEntry{Act: act, ItemType: string(t.Type), ItemID: t.ID, ItemName: t.Handle(),
		Detail: map[string]string{"target": t.Target}}
}

// ending is the entry of an item of which nothing is left. Where the project it is
// called by went before it, it has the name by which its purge began.
func ending(ctx context.Context, tx *store.Tx, t cullet.TrashItem) (cullet.AuditEntry, error) {
	e := entry(cullet.ActPurged, t)
	if t.Type != cullet.TrashVersion || t.ProjectSlug != "" {
		return e, nil
	}
	past, err := tx.AuditOf(ctx, t.Workspace, t.ID)
	if len(past) > 0 {
		e.ItemName = past[len(past)-1].ItemName
	}
	return e, err
}

// audit keeps an act on an item and on each that goes along with it (A1).
func audit(ctx context.Context, tx *store.Tx, by cullet.Actor, act cullet.Act, t cullet.TrashItem, along []cullet.TrashItem) error {
	for _, child := range along {
		a := entry(act, child)
		a.Detail["with"] = t.ID
		if err := tx.Audit(ctx, by, a); err != nil {
			return err
		}
	}
	return tx.Audit(ctx, by, entry(act, t))
}

// share gives each purging item one step in turn, so that a huge one does not hold
// up the small ones, and says whether there was anything to do.
func (e *Engine) share(ctx context.Context) (worked bool, err error) {
	var items []cullet.TrashItem
	err = e.DB.View(ctx, func(tx *store.Tx) error {
		items, err = tx.PurgingItems(ctx, e.worker, lease, many)
		return err
	})
	if err != nil {
		return false, err
	}
	for _, t := range items {
		err := e.step(ctx, t)
		switch {
		case ctx.Err() != nil:
			return worked, ctx.Err()
		case errors.Is(err, errOther):
			continue
		case errors.Is(err, errBackup):
			if err := e.postpone(ctx, t); err != nil {
				return worked, err
			}
		case err != nil:
			e.delay(ctx, t, err)
		}
		worked = true
	}
	return worked, nil
}

// errOther says that another worker has the item, or ended it.
var errOther = errors.New("another worker has the item")

// errBackup says that files are not unlinked as long as a backup may still copy them.
var errBackup = errors.New("a backup is under way: files wait until it has ended")

// step takes one item one step on: a batch of rows, else a batch of blobs, while files
// whose rows went before are removed beside it. Where none of it is left, its end.
func (e *Engine) step(ctx context.Context, t cullet.TrashItem) error {
	held := e.beginUnlinking(ctx, t.ID)
	if held != nil && !errors.Is(held, errBackup) {
		return held
	}
	files := e.leaving[t.ID]
	n, err := e.rows(ctx, t)
	if n == 0 && err == nil {
		n, err = e.collect(ctx, t)
	}
	switch {
	case err != nil || n > 0:
		return err
	case files != nil:
		return e.endUnlinking(ctx, t)
	case held != nil: // files alone are left
		return held
	}
	return e.finish(ctx, t)
}

// leased runs fn in a transaction that begins with the lease on the item.
func (e *Engine) leased(ctx context.Context, t cullet.TrashItem, fn func(tx *store.Tx) error) error {
	return e.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.LeaseItem(ctx, t.ID, e.worker, lease); errors.Is(err, store.ErrNoRow) {
			return errOther
		} else if err != nil {
			return err
		}
		return fn(tx)
	})
}

// rows removes a batch of the item's rows, and of the blobs that they alone referred
// to (C4). C11: an item whose root is active, or in Trash by another item, contradicts
// itself and is not touched. The transaction also keeps what became of files that left
// meanwhile, so that they need none of their own while there are rows.
func (e *Engine) rows(ctx context.Context, t cullet.TrashItem) (n int64, err error) {
	files := e.leaving[t.ID]
	gone, kept := files != nil && files.ended(), false
	n, err = e.batch(failpoint.In(ctx, "purge.rows"), t, func(tx *store.Tx, limit int) (int64, error) {
		root, err := tx.RootItem(ctx, t)
		if err == nil && root != t.ID {
			return 0, fmt.Errorf("%s %s is not in Trash by this item (%q): kept", t.Type, t.Target, root)
		} else if err != nil && !errors.Is(err, store.ErrNoRow) {
			return 0, err
		}
		n, err := tx.SweepRows(ctx, t, limit)
		if kept = gone && n > 0; err != nil || !kept {
			return n, err
		}
		return n, files.record(ctx, tx, t.ID)
	})
	if err == nil && kept {
		delete(e.leaving, t.ID)
	}
	return n, err
}

// collect removes the rows of blobs that something else still referred to when the
// item's rows went, and nothing does now (C4).
func (e *Engine) collect(ctx context.Context, t cullet.TrashItem) (n int64, err error) {
	return e.batch(failpoint.In(ctx, "purge.collect"), t, func(tx *store.Tx, limit int) (int64, error) {
		c, err := tx.CollectBlobs(ctx, t.ID, min(limit, 500))
		return c.Candidates, err
	})
}

// batch runs one batch in a transaction of its own (C3), and learns from it how large
// the next one may be. It counts what the statements take: what the lock and the commit
// take is the same for a batch of any size, and smaller ones would only wait more often.
func (e *Engine) batch(ctx context.Context, t cullet.TrashItem, fn func(tx *store.Tx, limit int) (int64, error)) (n int64, err error) {
	wanted := e.DB.Wanted()
	limit := e.size.limit(wanted)
	var began time.Time
	var spent time.Duration
	err = e.leased(ctx, t, func(tx *store.Tx) (err error) {
		began = e.DB.Clock().Now()
		n, err = fn(tx, limit)
		spent = e.DB.Clock().Now().Sub(began)
		return err
	})
	if err != nil {
		return 0, err
	}
	e.size.took(spent, n, wanted)
	if wanted {
		breathe(ctx, e.DB.Clock().Now().Sub(began))
	}
	return n, nil
}

// breathe waits for twice as long as a batch took, but not long, so that whoever else
// wants the database mostly finds it free. The wait is by the machine's time.
func breathe(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(min(2*d, 20*time.Millisecond)):
	}
}

// unlinking is a batch of files on its way out.
type unlinking struct {
	hands sync.WaitGroup
	over  atomic.Bool
	parts []unlinked
}

// unlinked is what became of files.
type unlinked struct {
	done  []store.Unlink
	stuck []store.Unlink // with why
}

// beginUnlinking has files of the item removed, unless some are on their way already.
func (e *Engine) beginUnlinking(ctx context.Context, item string) error {
	if e.leaving[item] != nil {
		return nil
	}
	files, err := e.unlink(ctx, item)
	if files != nil {
		e.leaving[item] = files
	}
	return err
}

// endUnlinking waits for the files of an item that are on their way, and keeps what
// became of them, where no batch of rows did.
func (e *Engine) endUnlinking(ctx context.Context, t cullet.TrashItem) error {
	files := e.leaving[t.ID]
	if files == nil {
		return nil
	}
	files.wait()
	err := e.leased(failpoint.In(ctx, "purge.unlink"), t, func(tx *store.Tx) error { return files.record(ctx, tx, t.ID) })
	delete(e.leaving, t.ID)
	return err
}

// land waits for all files that are on their way, and forgets them: those that no
// transaction kept are removed again, which is harmless.
func (e *Engine) land() {
	for item, files := range e.leaving {
		files.wait()
		delete(e.leaving, item)
	}
}

// load is how many files leave together, and by how many hands. While somebody else
// writes they are few, since their commits wait for the disk that removes the files.
func (e *Engine) load() (most, by int) {
	if e.DB.Wanted() {
		return files / 10, 1
	}
	return files, hands
}

// unlink begins to remove a batch of files whose rows are gone, of an item, or of those
// that are gone themselves. One that cannot be removed stops neither the rest nor the
// retry (C11). Where that is not recorded, they are removed again, which is harmless.
//
// No file goes that a backup still needs (C6). A backup takes its lease, then its
// snapshot of the rows, and then copies the files that these refer to. The list of
// files and the lease are looked at here in one snapshot. Either it sees no lease:
// then it is older than the lease, so older than the backup's snapshot, which does
// not have the rows of these files any more. Or it sees the lease: then nothing goes.
func (e *Engine) unlink(ctx context.Context, item string) (*unlinking, error) {
	var todo []store.Unlink
	most, by := e.load()
	backup := false
	err := e.DB.View(ctx, func(tx *store.Tx) (err error) {
		if todo, err = tx.ListUnlinks(ctx, item, most); err != nil || len(todo) == 0 {
			return err
		}
		backup, err = tx.BackupRunning(ctx)
		return err
	})
	if err != nil || len(todo) == 0 {
		return nil, err
	}
	if backup {
		return nil, errBackup
	}
	e.held = false
	// Each hand has folders of its own, since a folder takes one change at a time.
	slices.SortFunc(todo, func(x, y store.Unlink) int { return strings.Compare(x.Path, y.Path) })
	u := &unlinking{parts: make([]unlinked, 0, hands)}
	for some := range slices.Chunk(todo, max(50, (len(todo)+by-1)/by)) {
		u.parts = append(u.parts, unlinked{})
		part := &u.parts[len(u.parts)-1]
		u.hands.Go(func() { *part = e.remove(ctx, item, some) })
	}
	go func() {
		u.hands.Wait()
		u.over.Store(true)
	}()
	return u, nil
}

// remove removes files, one after the other.
func (e *Engine) remove(ctx context.Context, item string, some []store.Unlink) (u unlinked) {
	for _, f := range some {
		if err := e.Blobs.Remove(ctx, f.Path); err != nil {
			f.Problem = err.Error()
			u.stuck = append(u.stuck, f)
			e.Log.Warn("a file could not be removed; it is tried again", "path", f.Path, "item", item, "err", err)
			continue
		}
		failpoint.Pass("purge.unlinked")
		u.done = append(u.done, f)
	}
	return u
}

// ended says whether all of the files were tried.
func (u *unlinking) ended() bool { return u.over.Load() }

// wait waits until they were.
func (u *unlinking) wait() { u.hands.Wait() }

// record keeps what became of them.
func (u *unlinking) record(ctx context.Context, tx *store.Tx, item string) error {
	var done []store.Unlink
	for _, part := range u.parts {
		for _, f := range part.stuck {
			if err := tx.DelayUnlink(ctx, f.Path, f.Problem, tx.Now.Add(retryAfter)); err != nil {
				return err
			}
		}
		done = append(done, part.done...)
	}
	return tx.DoneUnlinks(ctx, item, done)
}

// removed says whether any file is gone.
func (u *unlinking) removed() bool {
	return slices.ContainsFunc(u.parts, func(p unlinked) bool { return len(p.done) > 0 })
}

// leftovers tries files again whose item is gone already.
func (e *Engine) leftovers(ctx context.Context) error {
	for {
		files, err := e.unlink(ctx, "")
		if errors.Is(err, errBackup) {
			return nil
		} else if err != nil || files == nil {
			return err
		}
		files.wait()
		err = e.DB.Update(failpoint.In(ctx, "purge.leftover"), func(tx *store.Tx) error { return files.record(ctx, tx, "") })
		if err != nil || !files.removed() {
			return err
		}
	}
}

// postpone looks at an item again in a while: only files are left of it, and they
// wait for a backup. Others take their turns meanwhile.
func (e *Engine) postpone(ctx context.Context, t cullet.TrashItem) error {
	if !e.held {
		e.held = true
		e.Log.Info("files of what is deleted wait to be removed until the backup that is under way has ended", "item", t.ID)
	}
	err := e.DB.Update(ctx, func(tx *store.Tx) error {
		return tx.DelayItem(ctx, t.ID, t.Problem, tx.Now.Add(backupLook))
	})
	return ignoreNoRow(err)
}

// finish ends an item of which nothing is left: it is gone, and the audit and the
// order it belonged to say so.
func (e *Engine) finish(ctx context.Context, t cullet.TrashItem) error {
	var done store.PurgeSums
	err := e.leased(failpoint.In(ctx, "purge.finish"), t, func(tx *store.Tx) error {
		if _, err := cullet.NextTrash(t.State, cullet.EventFinish); err != nil {
			return err
		}
		var err error
		if done, err = tx.PurgeProgress(ctx, t.ID); err != nil {
			return err
		}
		stuck, err := tx.StuckUnlinks(ctx, t.ID)
		if err != nil {
			return err
		}
		along, err := tx.FinishPurge(ctx, t)
		if err != nil {
			return err
		}
		by := cleaner(t.Workspace)
		if t.PurgeOrder != "" {
			o, err := tx.GetOrder(ctx, t.Workspace, t.PurgeOrder)
			if err != nil {
				return err
			}
			by = orderer(o)
			if err := tx.SetOrderItem(ctx, o.ID, t.ID, store.ResultDeleted, stuckWords(stuck), done); err != nil {
				return err
			}
		}
		for _, child := range along {
			a, err := ending(ctx, tx, child)
			if err != nil {
				return err
			}
			a.Detail["with"] = t.ID
			if err := tx.Audit(ctx, by, a); err != nil {
				return err
			}
		}
		a, err := ending(ctx, tx, t)
		if err != nil {
			return err
		}
		a.Detail["rows"], a.Detail["bytesFreed"], a.Detail["bytesKept"] = fmt.Sprint(done.Rows), fmt.Sprint(done.BytesFreed), fmt.Sprint(done.BytesKept)
		if len(stuck) > 0 {
			a.Result = stuckWords(stuck)
		}
		return tx.Audit(ctx, by, a)
	})
	if err == nil {
		e.Log.Info("deleted permanently", "type", t.Type, "item", t.ID, "name", t.Handle(), "rows", done.Rows,
			"files", done.Files, "bytes_freed", done.BytesFreed, "bytes_kept", done.BytesKept, "order", t.PurgeOrder)
	}
	return err
}

func stuckWords(stuck []store.Unlink) string {
	if len(stuck) == 0 {
		return ""
	}
	words := fmt.Sprintf("%d files could not be removed yet and are tried again in 5 minutes:", len(stuck))
	for _, u := range stuck {
		words += fmt.Sprintf(" %s (%s)", u.Path, u.Problem)
	}
	return words
}

// delay keeps why an item cannot be purged now, with its audit entry; it is tried
// again later (C11).
func (e *Engine) delay(ctx context.Context, t cullet.TrashItem, why error) {
	e.Log.Error("an item could not be purged; it is kept and tried again", "item", t.ID, "type", t.Type, "err", why)
	err := e.DB.Update(failpoint.In(ctx, "purge.problem"), func(tx *store.Tx) error {
		if err := tx.DelayItem(ctx, t.ID, why.Error(), tx.Now.Add(retryAfter)); err != nil || t.Problem == why.Error() {
			return err
		}
		a := entry(cullet.ActPurgeProblem, t)
		a.Result = why.Error()
		return tx.Audit(ctx, cleaner(t.Workspace), a)
	})
	if err != nil && !errors.Is(err, store.ErrNoRow) {
		e.Log.Error("that an item could not be purged could not be kept", "item", t.ID, "err", err)
	}
}

// batchSize is how many rows one transaction removes: some tens of milliseconds' worth
// while nobody else writes, and few milliseconds' while somebody does, who then waits
// little longer than on an idle server. Both are learned from how long batches take.
type batchSize struct{ alone, wanted int }

func (b *batchSize) limit(wanted bool) int {
	if wanted {
		return b.wanted
	}
	return b.alone
}

func (b *batchSize) took(d time.Duration, n int64, wanted bool) {
	if wanted {
		b.wanted = next(b.wanted, d, n, 3*time.Millisecond, 10)
	} else {
		b.alone = next(b.alone, d, n, 30*time.Millisecond, 50)
	}
}

// next is the size after a batch of n rows took d, that should take at most the given
// time, and a quarter of it at least.
func next(size int, d time.Duration, n int64, most time.Duration, least int) int {
	switch {
	case d > most:
		return max(least, size/2)
	case d < most/4 && n >= int64(size):
		return min(2000, size*2)
	}
	return size
}

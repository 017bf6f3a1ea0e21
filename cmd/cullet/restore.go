package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/backup"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/blob/fileblob"
	"github.com/cullet-vision/cullet/internal/fsck"
	"github.com/cullet-vision/cullet/internal/store"
)

type restoreCommand struct {
	Source string `arg:"" name:"source" help:"Folder of snapshots, or a .tar file."`
	settings
	Snapshot string `help:"Name of the snapshot in the folder (default: the latest)." placeholder:"TIME"`
	JSON     bool   `name:"json" help:"Print one JSON object."`
}

// In the data folder while a restore into it is under way, or after it was killed.
// SQLite's database gets its own name last, so nothing serves half of one; in
// PostgreSQL, which has no such moment, a mark says that it has not come to its end.
const (
	restoringFile     = "RESTORING"
	restoringDatabase = "restoring.db"
)

const againWords = "run the same `cullet restore-backup` again, which ends it"

// notHalfRestored refuses a data folder whose restore has not come to its end.
func notHalfRestored(data string) error {
	if _, err := os.Stat(filepath.Join(data, restoringFile)); err == nil {
		return fmt.Errorf("a restore into %s has not come to its end: "+againWords, data)
	}
	return nil
}

// notUnfinished refuses such a database.
func notUnfinished(ctx context.Context, db *store.DB) error {
	return db.View(ctx, func(tx *store.Tx) error {
		mark, err := tx.Unfinished(ctx)
		if err == nil && mark != "" {
			err = errors.New("a restore into this database has not come to its end: " + againWords)
		}
		return err
	})
}

// Run makes a server from a backup. Whatever is wrong, nothing is left of it.
func (c *restoreCommand) Run(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Blobs != "" {
		return errors.New("--blobs: restore-backup puts the bytes into the data folder; move them afterwards, and name their place to `cullet serve`")
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Check(ctx); err != nil {
		return err
	}
	t, err := c.claim(s)
	if err != nil {
		return err
	}
	r, err := t.restore(ctx, s)
	if err := errors.Join(err, t.end(err)); err != nil {
		return err
	}
	return c.tell(s, r)
}

func (c *restoreCommand) open() (*backup.Snapshot, error) {
	switch st, err := os.Stat(c.Source); {
	case err != nil:
		return nil, err
	case !st.IsDir() && c.Snapshot != "":
		return nil, fmt.Errorf("--snapshot is for a folder of snapshots; %s is one file", c.Source)
	case !st.IsDir():
		return backup.OpenFile(c.Source)
	case !backup.IsFolder(c.Source):
		return nil, fmt.Errorf("%s is no folder of backups: there is no folder snapshots in it", c.Source)
	}
	f, err := openFolder(c.Source)
	if err != nil {
		return nil, err
	}
	return f.Open(c.Snapshot)
}

// target is a data folder, and the database beside it, that a backup is restored into.
type target struct {
	settings
	mark   string // names the restore and its snapshot, in the folder and in PostgreSQL
	made   bool   // the folder was not there
	done   bool   // SQLite's database has its name already: a restore was killed after its last step
	other  bool   // the folder has what is left of another snapshot's restore
	keep   bool   // PostgreSQL is filled, or SQLite done: what is in the folder belongs to it
	unlock func()
}

func (t *target) path(name string) string { return filepath.Join(t.Data, name) }

// claim takes the folder, which has to be new or empty but for settings, or to be
// what a killed restore left.
func (c *restoreCommand) claim(s *backup.Snapshot) (*target, error) {
	t := &target{settings: c.settings, mark: cullet.NewID("r") + " " + s.DumpDigest}
	there, err := os.ReadDir(t.Data)
	if t.made = errors.Is(err, fs.ErrNotExist); err != nil && !t.made {
		return nil, err
	}
	killed := false
	for _, e := range there {
		killed = killed || e.Name() == restoringFile
	}
	for _, e := range there {
		if name := e.Name(); !killed && name != filepath.Base(configFile(t.Data)) && name != "lost+found" {
			return nil, fmt.Errorf("%s is not empty: it holds %s; nothing was changed. A backup is restored into a new folder", t.Data, name)
		}
	}
	if err := os.MkdirAll(t.Data, 0o700); err != nil {
		return nil, err
	}
	if t.unlock, err = backup.Lock(t.path(restoringFile)); err != nil {
		return nil, err
	}
	if err := t.take(s); err != nil {
		t.unlock()
		return nil, err
	}
	return t, nil
}

// take looks for what a killed restore left, which is known by its mark.
func (t *target) take(s *backup.Snapshot) error {
	before, err := os.ReadFile(t.path(restoringFile))
	if err != nil {
		return err
	}
	_, err = os.Stat(t.path(databaseFile))
	t.done = err == nil
	if strings.HasSuffix(string(before), " "+s.DumpDigest) {
		t.mark, t.keep = string(before), t.done
		return nil
	}
	if t.done {
		return errors.Join(os.Remove(t.path(restoringFile)),
			fmt.Errorf("%s holds another snapshot, whose restore was complete but for its last word; nothing else was changed, and it can be served", t.Data))
	}
	t.other = len(before) > 0
	return nil
}

// begin clears what a restore left that was killed before anything was filled, and
// keeps the mark.
func (t *target) begin() error {
	return errors.Join(t.clear(), os.WriteFile(t.path(restoringFile), []byte(t.mark), 0o600))
}

// end takes the claim back. After an error nothing is left, unless the database is
// filled already and the restore can only go on.
func (t *target) end(failed error) error {
	defer t.unlock()
	if failed != nil && t.keep {
		return nil
	}
	var err error
	if failed != nil {
		err = t.clear()
	}
	err = errors.Join(err, os.Remove(t.path(restoringFile)))
	if failed != nil && t.made {
		err = errors.Join(err, os.Remove(t.Data))
	}
	return err
}

// clear removes what a restore makes in the folder.
func (t *target) clear() error {
	err := os.RemoveAll(t.blobs())
	for _, more := range []string{"", "-wal", "-shm", "-journal"} {
		err = errors.Join(err, os.RemoveAll(t.path(restoringDatabase+more)))
	}
	return err
}

func (t *target) restore(ctx context.Context, s *backup.Snapshot) (r fsck.Report, err error) {
	file := t.path(restoringDatabase)
	if t.done {
		file = t.path(databaseFile)
	} else if t.DatabaseURL == "" {
		if err := t.begin(); err != nil { // SQLite begins anew
			return r, err
		}
	}
	conn, err := openDatabase(ctx, t.settings, file)
	if err != nil {
		return r, fmt.Errorf("opening the database: %w", err)
	}
	r, err = t.build(ctx, s, conn)
	if err := errors.Join(err, conn.Close()); err != nil || t.done || t.DatabaseURL != "" {
		return r, err
	}
	return r, t.show()
}

// build fills what is empty, and looks at it as fsck does.
func (t *target) build(ctx context.Context, s *backup.Snapshot, conn store.Conn) (r fsck.Report, err error) {
	step, err := t.step(ctx, conn)
	if err != nil {
		return r, err
	}
	driver, err := fileblob.New(t.blobs())
	if err != nil {
		return r, err
	}
	blobs := blob.New(driver, systemClock)
	db, err := t.fill(ctx, s, conn, blobs, step)
	if err != nil {
		return r, err
	}
	if r, err = fsck.Check(ctx, db, blobs, fsck.Options{}); err != nil {
		return r, fmt.Errorf("looking at what was restored: %w", err)
	}
	return r, db.Update(ctx, func(tx *store.Tx) error { return tx.ClearUnfinished(ctx) })
}

// The steps of a restore after which PostgreSQL keeps how far it came.
const (
	filled  = " filled"
	settled = " settled"
)

// step says how far a killed restore came, "" where nothing is filled. What else is
// in the database is refused.
func (t *target) step(ctx context.Context, conn store.Conn) (string, error) {
	if t.DatabaseURL == "" {
		if t.done {
			return settled, nil
		}
		return "", nil
	}
	held, err := store.Occupied(ctx, conn)
	if err != nil {
		return "", err
	}
	if held.What == "" { // from the beginning
		return "", t.begin()
	}
	step, ours := strings.CutPrefix(held.Unfinished, t.mark)
	if !ours && held.Unfinished != "" {
		t.keep = t.other
		return "", errors.New("the database holds another snapshot, whose restore has not come to its end; nothing was changed. " +
			"End that one, or restore into an empty database")
	}
	if !ours {
		return "", fmt.Errorf("the database holds %s already; nothing was changed. A backup is restored into an empty database", held.What)
	}
	t.keep = true
	return step, nil
}

func (t *target) fill(ctx context.Context, s *backup.Snapshot, conn store.Conn, blobs *blob.Store, step string) (*store.DB, error) {
	db, err := store.OpenAt(ctx, conn, systemClock, s.Schema)
	if err != nil {
		return nil, err
	}
	mark := func(step string) string {
		if t.DatabaseURL == "" {
			return ""
		}
		return t.mark + step
	}
	if step == "" {
		if err := s.Files(ctx, blobs); err != nil {
			return nil, err
		}
		if err := s.Fill(ctx, db, mark(filled)); err != nil {
			return nil, err
		}
		t.keep = t.DatabaseURL != ""
	}
	if err := db.Migrate(ctx); err != nil {
		return nil, err
	}
	if step == settled {
		return db, nil
	}
	return db, s.Settle(ctx, db, t.CleanupGrace, mark(settled))
}

// show gives SQLite's database its name: from here on there is a server.
func (t *target) show() error {
	if err := os.Rename(t.path(restoringDatabase), t.path(databaseFile)); err != nil {
		return err
	}
	f, err := os.Open(t.Data)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (c *restoreCommand) tell(s *backup.Snapshot, r fsck.Report) error {
	if c.JSON {
		err := json.NewEncoder(os.Stdout).Encode(map[string]any{
			"snapshot": s.Where, "time": s.Time, "workspaces": s.Workspaces, "rows": rowsOf(s.Manifest),
			"blobs": s.Blobs, "bytes": s.Bytes, "fsck": fsckJSON(r, false)})
		if err != nil {
			return err
		}
	} else {
		fmt.Printf("restored  %s\nof        %s (%s)\nholds     %d rows, %d files (%d bytes), each read again\n",
			s.Where, s.Time.Format("2006-01-02 15:04:05 UTC"), strings.Join(s.Workspaces, ", "), rowsOf(s.Manifest), s.Blobs, s.Bytes)
		fmt.Printf("cleanup   begins with nothing for %v, unless a person lifts that; nobody is signed in, and what was under way has ended\n", c.CleanupGrace)
		printFsck(r)
	}
	if !r.Clean() {
		return exit{2, errors.New("the backup is restored, and fsck finds in it what it found on the server that was backed up, or would have")}
	}
	return nil
}

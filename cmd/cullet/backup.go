package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/cullet-vision/cullet/internal/backup"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/blob/fileblob"
)

type backupCommand struct {
	Destination string `arg:"" name:"destination" help:"Folder of snapshots, which share their files; or one file, whose name ends in .tar."`
	settings
	Keep int  `help:"Keep that many of the newest snapshots, and remove older ones afterwards (default: all)." placeholder:"N"`
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Run copies a server, beside its processes.
func (c *backupCommand) Run(ctx context.Context) error {
	file := strings.HasSuffix(c.Destination, ".tar")
	switch {
	case c.Keep < 0:
		return fmt.Errorf("--keep %d: there is no such number of snapshots", c.Keep)
	case c.Keep > 0 && file:
		return fmt.Errorf("--keep is for a folder of snapshots; %s is one file", c.Destination)
	}
	g, err := openGround(ctx, c.settings, false)
	if err != nil {
		return err
	}
	defer g.close()
	from := backup.Source{DB: g.db, Blobs: g.blobs, Log: g.log}
	var r backup.Result
	if file {
		r, err = from.ToFile(ctx, c.Destination)
	} else {
		var to backup.Folder
		if to, err = c.folder(); err == nil {
			r, err = from.ToFolder(ctx, to, c.Keep)
		}
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(backupJSON(r))
	}
	printBackup(r)
	return nil
}

func (c *backupCommand) folder() (backup.Folder, error) {
	if err := backup.Prepare(c.Destination); err != nil {
		return backup.Folder{}, err
	}
	dir := backup.BlobsOf(c.Destination)
	ours, err1 := os.Stat(c.blobs())
	theirs, err2 := os.Stat(dir)
	if err1 == nil && err2 == nil && os.SameFile(ours, theirs) {
		return backup.Folder{}, fmt.Errorf("%s is where the server itself keeps its bytes; a backup goes elsewhere", dir)
	}
	return openFolder(c.Destination)
}

// openFolder opens a folder of backups, which is there.
func openFolder(dir string) (backup.Folder, error) {
	driver, err := fileblob.New(backup.BlobsOf(dir))
	if err != nil {
		return backup.Folder{}, fmt.Errorf("opening the folder of the backups: %w", err)
	}
	return backup.Folder{Dir: dir, Blobs: blob.New(driver, systemClock)}, nil
}

func rowsOf(m backup.Manifest) (n int64) {
	for _, rows := range m.Tables {
		n += rows
	}
	return n
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func backupJSON(r backup.Result) map[string]any {
	return map[string]any{
		"snapshot": r.Where, "time": r.Time, "schema": r.Schema, "database": r.Database, "workspaces": r.Workspaces,
		"rows": rowsOf(r.Manifest), "blobs": r.Blobs, "bytes": r.Bytes, "dump_bytes": r.DumpBytes,
		"copied": r.Copied, "copied_bytes": r.CopiedBytes, "present": r.Present,
		"unfinished": orEmpty(r.Unfinished), "removed": orEmpty(r.Removed), "freed_blobs": r.FreedBlobs, "freed_bytes": r.FreedBytes,
	}
}

func printBackup(r backup.Result) {
	for _, name := range r.Unfinished {
		fmt.Printf("removed   %s, which an earlier backup had not ended\n", name)
	}
	fmt.Printf("snapshot  %s\nof        %s (%s)\nholds     %d rows, %d files (%d bytes)\ncopied    %d files (%d bytes); %d were there\n",
		r.Where, r.Time.Format("2006-01-02 15:04:05 UTC"), strings.Join(r.Workspaces, ", "), rowsOf(r.Manifest), r.Blobs, r.Bytes,
		r.Copied, r.CopiedBytes, r.Present)
	for _, name := range r.Removed {
		fmt.Printf("removed   %s, by --keep\n", name)
	}
	if r.FreedBlobs > 0 {
		fmt.Printf("removed   %d files (%d bytes) that no snapshot refers to any more\n", r.FreedBlobs, r.FreedBytes)
	}
}

package sdk

import (
	"context"
	"net/http"
	"time"
)

// TrashStatus is how the workspace's Trash stands, at one instant.
type TrashStatus struct {
	CountedAt    time.Time
	Types        []TypeStatus
	Leaving      []LeavingItem // some of what is being deleted for good, those with a problem first
	LeavingMore  int64         // beyond these
	FilesLeft    FilesLeft
	Backup       bool       // one is under way: no file is removed before it ends
	Waiting      *ClockWait // nil: cleanup does not wait
	OverdueSince time.Time  // of the item that is due longest, neither held nor waiting; zero: none is
}

// TypeStatus counts the items of a type. Each is counted in one of the last four.
type TypeStatus struct {
	Type     ItemType
	Items    int64
	Bytes    int64 // logical
	Trashed  int64
	Held     int64 // itself, or by what lies below it
	Leaving  int64
	Problems int64 // met a problem on their way out, and are tried again
}

// LeavingItem is an item that is being deleted for good.
type LeavingItem struct {
	ItemID     string
	Type       ItemType
	Name       string
	Ordered    bool      // by a person; else cleanup began with it
	StartedAt  time.Time // zero: not known
	Along      int64     // items in Trash that go with it
	RowsDone   int64
	RowsLeft   int64
	FreedBytes int64
	FilesLeft  int64 // whose rows are gone
	BytesLeft  int64
	Problem    string    // the last one
	RetryAt    time.Time // zero: it does not wait
}

// FilesLeft are files whose rows are gone and which are still to be removed.
type FilesLeft struct {
	Files    int64
	Bytes    int64
	Problems int64 // of them, those that could not be removed and are tried again
}

// ClockWait is why cleanup waits.
type ClockWait struct {
	Reason string
	Began  time.Time
	Until  time.Time
	Items  int64 // whose date came meanwhile
}

type statusIn struct {
	CountedAt, OverdueSince instant
	Types                   []struct {
		Type                                           text
		Items, Bytes, Trashed, Held, Leaving, Problems number
	}
	Leaving []struct {
		ItemID, Type, Name, Problem                                 text
		Ordered                                                     flag
		StartedAt, RetryAt                                          instant
		Along, RowsDone, RowsLeft, FreedBytes, FilesLeft, BytesLeft number
	}
	LeavingMore   number
	FilesLeft     struct{ Files, Bytes, Problems number }
	BackupRunning flag
	Waiting       *struct {
		Reason       text
		Began, Until instant
		Items        number
	}
}

// TrashStatus says what lies in Trash, what of it is being deleted for good and how far
// that is, and what waits for what. Nothing is changed. Scope project:read.
func (w *Workspace) TrashStatus(ctx context.Context) (*TrashStatus, error) {
	path, err := w.own("trash", "status")
	if err != nil {
		return nil, err
	}
	var in statusIn
	if err := w.c.do(ctx, call{method: http.MethodGet, path: path, out: &in}); err != nil {
		return nil, err
	}
	return in.status(), nil
}

func (in statusIn) status() *TrashStatus {
	s := &TrashStatus{CountedAt: in.CountedAt.Time, OverdueSince: in.OverdueSince.Time, LeavingMore: int64(in.LeavingMore), Backup: bool(in.BackupRunning),
		FilesLeft: FilesLeft{int64(in.FilesLeft.Files), int64(in.FilesLeft.Bytes), int64(in.FilesLeft.Problems)}}
	for _, t := range in.Types {
		s.Types = append(s.Types, TypeStatus{ItemType(t.Type), int64(t.Items), int64(t.Bytes), int64(t.Trashed), int64(t.Held), int64(t.Leaving), int64(t.Problems)})
	}
	for _, i := range in.Leaving {
		s.Leaving = append(s.Leaving, LeavingItem{ItemID: string(i.ItemID), Type: ItemType(i.Type), Name: string(i.Name), Ordered: bool(i.Ordered),
			StartedAt: i.StartedAt.Time, Along: int64(i.Along), RowsDone: int64(i.RowsDone), RowsLeft: int64(i.RowsLeft), FreedBytes: int64(i.FreedBytes),
			FilesLeft: int64(i.FilesLeft), BytesLeft: int64(i.BytesLeft), Problem: string(i.Problem), RetryAt: i.RetryAt.Time})
	}
	if in.Waiting != nil {
		s.Waiting = &ClockWait{string(in.Waiting.Reason), in.Waiting.Began.Time, in.Waiting.Until.Time, int64(in.Waiting.Items)}
	}
	return s
}

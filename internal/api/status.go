package api

import (
	"net/http"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trash"
)

type trashStatusOut struct {
	CountedAt    string          `json:"countedAt"`
	Types        []typeStatusOut `json:"types"`
	Leaving      []leavingOut    `json:"leaving"`     // those with a problem first
	LeavingMore  int64           `json:"leavingMore"` // beyond these
	FilesLeft    filesLeftOut    `json:"filesLeft"`
	Backup       bool            `json:"backupRunning"` // no file is removed before it ends
	Waiting      *clockWaitOut   `json:"waiting"`       // null: cleanup does not wait
	OverdueSince *string         `json:"overdueSince"`  // of the item that is due longest, neither held nor waiting; null: none
}

// typeStatusOut counts items by how they stand: each in one way.
type typeStatusOut struct {
	Type     string `json:"type"`
	Items    int64  `json:"items"`
	Bytes    int64  `json:"bytes"` // logical
	Trashed  int64  `json:"trashed"`
	Held     int64  `json:"held"`
	Leaving  int64  `json:"leaving"`
	Problems int64  `json:"problems"`
}

// leavingOut is an item that is being deleted permanently.
type leavingOut struct {
	ItemID    string  `json:"itemId"`
	Type      string  `json:"type"`
	Name      string  `json:"name"`
	Ordered   bool    `json:"ordered"`   // by a person; else cleanup began with it
	StartedAt *string `json:"startedAt"` // null: not known
	Along     int64   `json:"along"`     // items in Trash that go with it
	RowsDone  int64   `json:"rowsDone"`
	RowsLeft  int64   `json:"rowsLeft"`
	Freed     int64   `json:"freedBytes"`
	FilesLeft int64   `json:"filesLeft"` // whose rows are gone
	BytesLeft int64   `json:"bytesLeft"`
	Problem   string  `json:"problem"` // the last one; "": none
	RetryAt   *string `json:"retryAt"` // null: it does not wait
}

type filesLeftOut struct {
	Files    int64 `json:"files"`
	Bytes    int64 `json:"bytes"`
	Problems int64 `json:"problems"` // of them, tried again
}

type clockWaitOut struct {
	Reason string `json:"reason"`
	Began  string `json:"began"`
	Until  string `json:"until"`
	Items  int64  `json:"items"` // whose date came meanwhile
}

// trashStatus says how the Trash stands: what lies there, what is being deleted
// permanently and how far that is, and what waits for what.
func (s *Server) trashStatus(w http.ResponseWriter, r *http.Request) error {
	st, err := s.Bin.Status(r.Context(), actor(r))
	if err != nil {
		return err
	}
	return ok(w, toStatus(st))
}

func toStatus(st trash.Status) trashStatusOut {
	out := trashStatusOut{CountedAt: stamp(st.At), Types: []typeStatusOut{}, Leaving: []leavingOut{}, LeavingMore: st.More, Backup: st.Backup,
		FilesLeft: filesLeftOut{st.Files.Files, st.Files.Bytes, st.Files.Problems}, OverdueSince: stampOrNull(st.DueSince)}
	for _, t := range cullet.TrashableTypes() {
		by, total := st.Items[t], st.Total[t]
		out.Types = append(out.Types, typeStatusOut{string(t), total.Items, total.Bytes,
			by[store.StandsTrashed], by[store.StandsHeld], by[store.StandsPurging], by[store.StandsProblem]})
	}
	for _, i := range st.Leaving {
		out.Leaving = append(out.Leaving, toLeaving(i, st.At))
	}
	if st.Waits {
		out.Waiting = &clockWaitOut{st.Watch.Words(), stamp(st.Watch.Began), stamp(st.Watch.Until), st.Waiting}
	}
	return out
}

func toLeaving(i store.LeavingItem, now time.Time) leavingOut {
	out := leavingOut{ItemID: i.ID, Type: string(i.Type), Name: i.Handle(), Ordered: i.PurgeOrder != "", StartedAt: stampOrNull(i.BeganAt), Along: i.Along,
		RowsDone: i.DoneRows, RowsLeft: i.RowsLeft, Freed: i.DoneBytes, FilesLeft: i.Files, BytesLeft: i.FileBytes, Problem: i.Problem}
	if i.RetryAt.After(now) {
		out.RetryAt = stampOrNull(i.RetryAt)
	}
	return out
}

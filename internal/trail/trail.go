// Package trail reads the audit (A1): pages of it for people, the state of its chain,
// and an export that anybody can verify without Cullet (docs/audit.md). It writes
// nothing: entries are written by the transactions that do what they tell of.
package trail

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// Trail is the audit of all workspaces.
type Trail struct {
	DB *store.DB

	mu     sync.Mutex
	chains map[string]Chain // as checked last, by workspace
}

// some is how many entries are in memory at a time.
const some = 500

// Page returns the entries that the filter chooses, newest first, and whether there are more.
func (t *Trail) Page(ctx context.Context, by cullet.Actor, f store.AuditFilter) (page []cullet.AuditEntry, more bool, err error) {
	if err := by.Allow(cullet.AuditRead); err != nil {
		return nil, false, err
	}
	limit := f.Limit
	f.Limit++
	err = t.DB.View(ctx, func(tx *store.Tx) error {
		page, err = tx.FindAudit(ctx, by.Workspace, f)
		return err
	})
	if len(page) > limit {
		page, more = page[:limit], true
	}
	return page, more, err
}

// Line is one entry of an export. Chained is the very text that Hash is the SHA-256 of;
// its last element is the hash of the line before. The other fields repeat what it says
// for people and programs that only read.
type Line struct {
	Seq       int64             `json:"seq"`
	At        time.Time         `json:"at"`
	Act       cullet.Act        `json:"act"`
	ActorID   string            `json:"actorId"`
	ActorName string            `json:"actorName"`
	Means     cullet.Means      `json:"means"`
	Address   string            `json:"address"`
	Request   string            `json:"request"`
	ItemType  string            `json:"itemType"`
	ItemID    string            `json:"itemId"`
	ItemName  string            `json:"itemName"`
	Result    string            `json:"result"`
	Detail    map[string]string `json:"detail"`
	Chained   string            `json:"chained"`
	Hash      string            `json:"hash"`
}

func toLine(e cullet.AuditEntry) Line {
	return Line{e.Seq, e.At, e.Act, e.ActorID, e.ActorName, e.Means, e.Address, e.Request,
		e.ItemType, e.ItemID, e.ItemName, e.Result, e.Detail, e.Chained(), e.Hash}
}

// Export writes the workspace's whole audit as JSON lines, first entry first, as it is
// when it is called. What is appended meanwhile is not in it.
func (t *Trail) Export(ctx context.Context, by cullet.Actor, w io.Writer) error {
	if err := by.Allow(cullet.AuditRead); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	err := t.walk(ctx, by.Workspace, Chain{}, func(e cullet.AuditEntry) error { return lines.Encode(toLine(e)) })
	if err != nil {
		return err
	}
	return out.Flush()
}

// walk calls fn with each entry after the given place, up to what is the last at the
// beginning.
func (t *Trail) walk(ctx context.Context, workspace string, from Chain, fn func(cullet.AuditEntry) error) error {
	var head int64
	err := t.DB.View(ctx, func(tx *store.Tx) (err error) {
		head, _, err = tx.AuditHead(ctx, workspace)
		return err
	})
	for last := from.Entries; err == nil && last < head; {
		var page []cullet.AuditEntry
		err = t.DB.View(ctx, func(tx *store.Tx) (err error) {
			page, err = tx.ListAudit(ctx, workspace, last, some)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			if e.Seq > head {
				return nil
			}
			if err := fn(e); err != nil {
				return err
			}
			last = e.Seq
		}
	}
	return err
}

// Chain is the state of a workspace's chain.
type Chain struct {
	Entries   int64     // number of the last one
	Hash      string    // of the last one
	CheckedAt time.Time // when it was followed from its first entry
	Broken    int64     // number of the first entry that does not follow from the one before; 0: the chain is whole
}

// recheck is how long what was checked is believed: from then on the chain is followed
// from its beginning again.
const recheck = time.Hour

// Chain follows the workspace's chain: from the beginning, or, where that was done
// lately, what came since.
func (t *Trail) Chain(ctx context.Context, by cullet.Actor) (Chain, error) {
	if err := by.Allow(cullet.AuditRead); err != nil {
		return Chain{}, err
	}
	now := t.DB.Clock().Now()
	t.mu.Lock()
	c := t.chains[by.Workspace]
	t.mu.Unlock()
	if now.Sub(c.CheckedAt).Abs() > recheck || c.Broken > 0 {
		c = Chain{CheckedAt: now}
	}
	err := t.walk(ctx, by.Workspace, c, func(e cullet.AuditEntry) error {
		if c.Broken == 0 && (e.Seq != c.Entries+1 || e.Prev != c.Hash || e.Hash != e.ChainHash()) {
			c.Broken = e.Seq
		}
		c.Entries, c.Hash = e.Seq, e.Hash
		return nil
	})
	if err != nil {
		return c, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.chains == nil {
		t.chains = map[string]Chain{}
	}
	t.chains[by.Workspace] = c
	return c, nil
}

package sdk

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// This file and status.go have what only Cullet's servers answer, below /-/v1: how the
// Trash stands, dry runs of cleanup, and bringing back many deletions as one operation.
// None of it removes anything.

func (w *Workspace) own(below ...string) ([]string, error) {
	if _, err := w.path(); err != nil {
		return nil, err
	}
	return append([]string{"-", "v1", w.Slug}, below...), nil
}

// Preview is what permanent deletion would do, in bytes of files: each file counts once,
// however many share it.
type Preview struct {
	CountedAt time.Time
	DueBy     time.Time // up to this date; zero where items were named

	Items, Images, Annotations, Versions, Exports, Trainings, Models int64

	FreedBytes, FreedFiles   int64
	SharedBytes, SharedFiles int64    // something else refers to them: they stay
	SharedWith               []string // slugs of projects that do; some
	SharedWithOthers         int      // more, of which nothing may be told

	Goes  []PreviewItem // up to 1000
	Stays []PreviewItem // what would be skipped, and why
}

// PreviewItem is one item of a dry run.
type PreviewItem struct {
	ItemID             string
	Type               ItemType
	Name               string
	ScheduledCleanupAt time.Time
	Reason             string // why it stays
}

type previewIn struct {
	CountedAt, DueBy                                                 instant
	Items, Images, Annotations, Versions, Exports, Trainings, Models number
	FreedBytes, FreedFiles, SharedBytes, SharedFiles                 number
	SharedWith                                                       []struct{ Project text }
	SharedWithOthers                                                 number
	Goes, Stays                                                      []struct {
		ItemID, Type, Name, Reason text
		ScheduledCleanupAt         instant
	}
}

// PreviewCleanup says what cleanup would remove within the next days. Nothing is
// changed. Scope project:read.
func (w *Workspace) PreviewCleanup(ctx context.Context, days int) (*Preview, error) {
	return w.preview(ctx, url.Values{"days": {strconv.Itoa(days)}})
}

// PreviewItems says what permanent deletion of some items would do; their ids are those
// of the web app's addresses and of reports. Nothing is changed. Scope project:read.
func (w *Workspace) PreviewItems(ctx context.Context, items ...string) (*Preview, error) {
	if len(items) == 0 {
		return nil, fmt.Errorf("%w: a dry run needs the ids of items", ErrInvalid)
	}
	return w.preview(ctx, url.Values{"item": items})
}

func (w *Workspace) preview(ctx context.Context, query url.Values) (*Preview, error) {
	path, err := w.own("trash", "preview")
	if err != nil {
		return nil, err
	}
	var in previewIn
	if err := w.c.do(ctx, call{method: http.MethodGet, path: path, query: query, out: &in}); err != nil {
		return nil, err
	}
	p := &Preview{CountedAt: in.CountedAt.Time, DueBy: in.DueBy.Time, Items: int64(in.Items), Images: int64(in.Images), Annotations: int64(in.Annotations),
		Versions: int64(in.Versions), Exports: int64(in.Exports), Trainings: int64(in.Trainings), Models: int64(in.Models),
		FreedBytes: int64(in.FreedBytes), FreedFiles: int64(in.FreedFiles), SharedBytes: int64(in.SharedBytes), SharedFiles: int64(in.SharedFiles),
		SharedWithOthers: in.SharedWithOthers.int()}
	for _, s := range in.SharedWith {
		p.SharedWith = append(p.SharedWith, string(s.Project))
	}
	for _, i := range in.Goes {
		p.Goes = append(p.Goes, PreviewItem{string(i.ItemID), ItemType(i.Type), string(i.Name), i.ScheduledCleanupAt.Time, ""})
	}
	for _, i := range in.Stays {
		p.Stays = append(p.Stays, PreviewItem{string(i.ItemID), ItemType(i.Type), string(i.Name), i.ScheduledCleanupAt.Time, string(i.Reason)})
	}
	return p, nil
}

// Rescue says which deletions are to be brought back. At least one of DeletedBy, Means,
// From and To has to be set.
type Rescue struct {
	DeletedBy string     `json:"deletedBy,omitzero"` // id or exact name of a person or key, as the Trash lists it
	Means     string     `json:"means,omitzero"`     // web or key
	From      time.Time  `json:"from,omitzero"`      // deleted at this time or later
	To        time.Time  `json:"to,omitzero"`        // deleted before this time
	Types     []ItemType `json:"types,omitzero"`
	Rename    bool       `json:"rename,omitzero"` // what lost its slug comes back under a free one
}

// RescueReport is a rescue, and what became of its items.
type RescueReport struct {
	ID       string // "" of a plan
	State    string // running, finished, plan
	Items    int64
	Restored int64
	LeftOut  int64
	BeganAt  time.Time
	EndedAt  time.Time
	Report   []RescuedItem // up to 1000, those left out first
}

// RescuedItem is one item of a rescue.
type RescuedItem struct {
	ItemID string
	Type   ItemType
	Name   string
	Added  bool   // a parent that was not asked for but comes first
	Result string // waiting, restored, left out
	Reason string // why it was left out
	Slug   string // that it was given, or that is free for it
}

type rescueIn struct {
	ID, State                text
	Items, Restored, LeftOut number
	BeganAt, EndedAt         instant
	Report                   []struct {
		ItemID, Type, Name, Result, Reason, Slug text
		Added                                    flag
	}
}

func (in rescueIn) report() *RescueReport {
	r := &RescueReport{ID: string(in.ID), State: string(in.State), Items: int64(in.Items), Restored: int64(in.Restored), LeftOut: int64(in.LeftOut),
		BeganAt: in.BeganAt.Time, EndedAt: in.EndedAt.Time}
	for _, i := range in.Report {
		r.Report = append(r.Report, RescuedItem{string(i.ItemID), ItemType(i.Type), string(i.Name), bool(i.Added), string(i.Result), string(i.Reason), string(i.Slug)})
	}
	return r
}

// PlanRescue says what Rescue would bring back, in which order, and what stands in its
// way. Nothing is changed. Scopes as Rescue.
func (w *Workspace) PlanRescue(ctx context.Context, r Rescue) (*RescueReport, error) {
	return w.rescue(ctx, r, true)
}

// Rescue begins to bring back everything that it chooses at this moment, parents first,
// and returns at once; RescueReport tells how far it is. Scope project:update,
// version:update or workflow:update; what the key may not restore is left out.
func (w *Workspace) Rescue(ctx context.Context, r Rescue) (*RescueReport, error) {
	return w.rescue(ctx, r, false)
}

func (w *Workspace) rescue(ctx context.Context, r Rescue, dry bool) (*RescueReport, error) {
	path, err := w.own("trash", "rescue")
	if err != nil {
		return nil, err
	}
	body := struct {
		Rescue
		DryRun bool `json:"dryRun"`
	}{r, dry}
	var in rescueIn
	if err := w.c.do(ctx, call{method: http.MethodPost, path: path, body: body, out: &in, any2xx: true}); err != nil {
		return nil, err
	}
	return in.report(), nil
}

// RescueReport returns a rescue with what became of its items so far. Scope project:read.
func (w *Workspace) RescueReport(ctx context.Context, id string) (*RescueReport, error) {
	if err := checkWord("rescue", id); err != nil {
		return nil, err
	}
	path, err := w.own("trash", "rescues", id)
	if err != nil {
		return nil, err
	}
	var in rescueIn
	if err := w.c.do(ctx, call{method: http.MethodGet, path: path, out: &in}); err != nil {
		return nil, err
	}
	return in.report(), nil
}

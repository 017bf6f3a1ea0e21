package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/account"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trash"
)

// Our own routes about what lies in Trash: dry runs, storage, rescues, the audit. None
// of them makes an end of anything.

type previewOut struct {
	CountedAt   string       `json:"countedAt"`
	DueBy       *string      `json:"dueBy"` // null where items were named
	Items       int64        `json:"items"`
	Images      int64        `json:"images"`
	Annotations int64        `json:"annotations"`
	Versions    int64        `json:"versions"`
	Exports     int64        `json:"exports"`
	Trainings   int64        `json:"trainings"`
	Models      int64        `json:"models"`
	FreedBytes  int64        `json:"freedBytes"`
	FreedFiles  int64        `json:"freedFiles"`
	SharedBytes int64        `json:"sharedBytes"` // stay: something else refers to them
	SharedFiles int64        `json:"sharedFiles"`
	SharedWith  []sharerOut  `json:"sharedWith"`
	SharedMore  int          `json:"sharedWithOthers"` // projects of which nothing may be told
	Goes        []weighedOut `json:"goes"`
	Stays       []staysOut   `json:"stays"`
}

type sharerOut struct {
	Project string `json:"project"`
	Trashed bool   `json:"inTrash"`
}

type weighedOut struct {
	ItemID      string  `json:"itemId"`
	Type        string  `json:"type"`
	Name        string  `json:"name"`
	CleanupAt   string  `json:"scheduledCleanupAt"`
	FreedBytes  *int64  `json:"freedBytes"` // alone; null: not counted yet
	SharedBytes *int64  `json:"sharedBytes"`
	CountedAt   *string `json:"countedAt"`
}

type staysOut struct {
	ItemID string `json:"itemId"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// previewCleanup is a dry run: what permanent deletion of the items, or cleanup within
// the next days, would remove, free and leave. Query: item, any number of times, or days.
func (s *Server) previewCleanup(w http.ResponseWriter, r *http.Request) error {
	c := account.Choice{Items: query(r)["item"]}
	if days := query(r).Get("days"); days != "" {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || len(c.Items) > 0 {
			return cullet.E(cullet.Invalid, "say either days, a whole number from 0 on, or item; %.40q with %d items is neither", days, len(c.Items))
		}
		c.Within = min(time.Duration(n), 1<<20) * 24 * time.Hour
	} else if len(c.Items) == 0 {
		return cullet.E(cullet.Invalid, "say what to look at: days=7 for what cleanup comes to within 7 days, or item=… for items")
	}
	p, err := s.Book.Preview(r.Context(), actor(r), c)
	if err != nil {
		return err
	}
	out := previewOut{CountedAt: stamp(p.At), DueBy: stampOrNull(p.DueBy), Items: p.Weight.Items,
		Images: p.Sums.Images, Annotations: p.Sums.Annotations, Versions: p.Sums.Versions, Exports: p.Sums.Exports, Trainings: p.Sums.Trainings, Models: p.Sums.Models,
		FreedBytes: p.Weight.FreedBytes, FreedFiles: p.Weight.FreedFiles, SharedBytes: p.Weight.SharedBytes, SharedFiles: p.Weight.SharedFiles,
		SharedWith: []sharerOut{}, SharedMore: p.Foreign, Goes: []weighedOut{}, Stays: []staysOut{}}
	for _, x := range p.Sharers {
		out.SharedWith = append(out.SharedWith, sharerOut{x.Slug, x.Trashed})
	}
	for _, t := range p.Goes {
		o := weighedOut{ItemID: t.ID, Type: string(t.Type), Name: t.Handle(), CleanupAt: stamp(t.EffectiveAt), CountedAt: stampOrNull(t.CountedAt)}
		if !t.CountedAt.IsZero() {
			o.FreedBytes, o.SharedBytes = &t.FreeableBytes, &t.SharedBytes
		}
		out.Goes = append(out.Goes, o)
	}
	for _, x := range p.Stays {
		name := ""
		if x.Item.ID != "" {
			name = x.Item.Handle()
		}
		out.Stays = append(out.Stays, staysOut{brief(x.ID), name, x.Reason})
	}
	return ok(w, out)
}

type storageOut struct {
	Active    int64            `json:"activeBytes"` // logical, exact
	Trash     int64            `json:"trashBytes"`  // logical, exact; counts as storage until deleted permanently
	Items     int64            `json:"trashItems"`
	CountedAt *string          `json:"countedAt"` // of what follows: bytes of files; null: not counted yet
	Files     *filesOut        `json:"files"`
	Projects  []projectStorage `json:"projects"`
}

type filesOut struct {
	Total   int64 `json:"totalBytes"`
	Active  int64 `json:"activeBytes"`
	Trash   int64 `json:"trashBytes"` // what emptying the Trash would free
	Shared  int64 `json:"sharedBytes"`
	Derived int64 `json:"derivedBytes"`
	Number  int64 `json:"files"`
}

type projectStorage struct {
	Project string `json:"project"`
	Trashed bool   `json:"inTrash"`
	Logical int64  `json:"logicalBytes"`
	Own     int64  `json:"ownBytes"`
	Shared  int64  `json:"sharedBytes"`
}

// storage tells what the workspace stores.
func (s *Server) storage(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Book.Storage(r.Context(), actor(r))
	if err != nil {
		return err
	}
	f := all.Files
	out := storageOut{Active: all.Active, Trash: all.Trash, Items: all.Items, CountedAt: stampOrNull(f.CountedAt), Projects: []projectStorage{}}
	if !f.CountedAt.IsZero() {
		out.Files = &filesOut{f.Total(), f.Active, f.Trash, f.Shared, f.Derived, f.Files}
	}
	for _, p := range f.Projects {
		out.Projects = append(out.Projects, projectStorage{p.Slug, p.Trashed, p.Logical, p.Own, p.Shared})
	}
	return ok(w, out)
}

type rescueOut struct {
	ID       string          `json:"id"`
	State    string          `json:"state"` // running, finished; plan: nothing was done
	Items    int64           `json:"items"`
	Restored int64           `json:"restored"`
	Left     int64           `json:"leftOut"`
	BeganAt  *string         `json:"beganAt"`
	EndedAt  *string         `json:"endedAt"`
	Listed   []rescueItemOut `json:"report"` // what was left out comes first
}

type rescueItemOut struct {
	ItemID string `json:"itemId"`
	Type   string `json:"type"`
	Name   string `json:"name"`
	Added  bool   `json:"added"` // a parent that comes first
	Result string `json:"result"`
	Reason string `json:"reason,omitempty"`
	Slug   string `json:"slug,omitempty"` // given, or free
}

// rescue brings back everything that the body's filter chooses, as one operation: 202
// and its id; with dryRun the plan, and nothing is changed.
func (s *Server) rescue(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		DeletedBy string    `json:"deletedBy"` // id or exact name of a person or key
		Means     string    `json:"means"`     // web or key
		From      time.Time `json:"from"`
		To        time.Time `json:"to"`
		Types     []string  `json:"types"`
		Rename    bool      `json:"rename"`
		DryRun    bool      `json:"dryRun"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	f := trash.RescueFilter{By: in.DeletedBy, Means: cullet.Means(brief(in.Means)), From: in.From, To: in.To}
	for _, t := range in.Types {
		f.Types = append(f.Types, cullet.Trashable(brief(t)))
	}
	if in.DryRun {
		plan, err := s.Bin.RescuePlan(r.Context(), actor(r), f)
		if err != nil {
			return err
		}
		out := rescueOut{State: "plan", Items: int64(len(plan)), Listed: []rescueItemOut{}}
		for _, step := range plan[:min(len(plan), trash.MostListed)] {
			i := rescueItemOut{ItemID: step.Item.ID, Type: string(step.Item.Type), Name: step.Item.Handle(), Added: step.Added, Result: "would be restored"}
			if step.Refused != "" {
				i.Result, i.Reason = "would be left out", step.Refused
			} else if step.Conflict != nil {
				i.Result, i.Reason, i.Slug = "would be left out", step.Conflict.Error(), step.Conflict.Free
				if in.Rename {
					i.Result, i.Reason = "would be restored", ""
				}
			}
			out.Listed = append(out.Listed, i)
		}
		return ok(w, out)
	}
	began, err := s.Bin.Rescue(r.Context(), actor(r), f, in.Rename)
	if err != nil {
		return err
	}
	reply(w, http.StatusAccepted, toRescue(trash.RescueReport{Rescue: began}))
	return nil
}

// getRescue is a rescue's progress and report.
func (s *Server) getRescue(w http.ResponseWriter, r *http.Request) error {
	report, err := s.Bin.RescueReport(r.Context(), actor(r), word(r, "rescue"))
	if err != nil {
		return err
	}
	return ok(w, toRescue(report))
}

func toRescue(r trash.RescueReport) rescueOut {
	out := rescueOut{ID: r.ID, State: r.State, Items: r.Items, Restored: r.Restored, Left: r.Left,
		BeganAt: stampOrNull(r.BeganAt), EndedAt: stampOrNull(r.EndedAt), Listed: []rescueItemOut{}}
	for _, i := range r.Listed {
		result := i.Result
		switch result {
		case store.RescueWaiting:
			result = "waiting"
		case store.RescueLeft:
			result = "left out"
		}
		out.Listed = append(out.Listed, rescueItemOut{i.Item, string(i.Type), i.Name, i.Added, result, i.Reason, i.Slug})
	}
	return out
}

// audit is the workspace's whole audit as JSON lines (docs/audit.md).
func (s *Server) audit(w http.ResponseWriter, r *http.Request) error {
	if err := actor(r).Allow(cullet.AuditRead); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/jsonl; charset=utf-8")
	if r.Method == http.MethodHead {
		return nil
	}
	if err := s.Trail.Export(r.Context(), actor(r), w); err != nil {
		s.Log.Warn("an export of the audit was cut off", "request", actor(r).Request, "err", err)
		panic(http.ErrAbortHandler) // half of it must not look whole
	}
	return nil
}

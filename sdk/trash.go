package sdk

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ItemType is what a trash item was before it was deleted.
type ItemType string

// The types there are. Hosted Roboflow has no images in Trash.
const (
	TypeProject  ItemType = "project"
	TypeVersion  ItemType = "version"
	TypeWorkflow ItemType = "workflow"
	TypeTraining ItemType = "training"
	TypeImages   ItemType = "images"
)

// Trash is what was deleted and can be restored (contract/10, T5): the roots of
// deletions only, not what went with them.
type Trash struct {
	Items         []TrashItem
	Sections      Sections // the same items by type, what was deleted last first
	RetentionDays float64  // of what is deleted from now on; 0 where the server did not tell
}

// Sections are the items of a Trash by their type.
type Sections struct {
	Projects, Versions, Workflows, Trainings, Images []TrashItem
}

// TrashItem is one deletion.
type TrashItem struct {
	Type       ItemType
	ID         string // what a restore needs: an internal id; of a version, its number
	Name       string
	URL        string // slug of a project or workflow
	ParentID   string // of a version: its project's internal id
	ParentURL  string // of a version: its project's slug, as it is now
	ParentName string

	DeletedAt            time.Time // zero where it was no time that this client knows
	ScheduledCleanupAt   time.Time // from then on it may be removed for good
	DeletedBy            string
	DeletedByName        string
	CleanupDeletesImages bool // of a project: its images go with it at cleanup
	ParentInTrash        bool // restore the parent first
	BeingRemoved         bool // it cannot be restored any more
}

// Undo returns the request that restores exactly this item.
func (i TrashItem) Undo() Restore {
	r := Restore{Type: i.Type, ID: i.ID}
	if i.Type == TypeVersion { // the others are named by their id alone
		r.ParentID = i.ParentID
	}
	return r
}

type trashIn struct {
	Items    []itemIn
	Sections struct {
		Projects, Versions, Workflows, Trainings, Images []itemIn
	}
	RetentionDays number
}

type itemIn struct {
	Type                text
	ID                  text
	Name                text
	URL                 text
	ParentID            text
	ParentURL           text
	ParentName          text
	DeletedAt           instant
	ScheduledCleanupAt  instant
	DeletedBy           text
	DeletedByName       text
	CleanupDeleteImages flag
	ParentInTrash       flag
	BeingPurged         flag
}

func toItems(in []itemIn) []TrashItem {
	all := make([]TrashItem, len(in))
	for n, i := range in {
		all[n] = TrashItem{Type: ItemType(i.Type), ID: string(i.ID), Name: string(i.Name), URL: string(i.URL),
			ParentID: string(i.ParentID), ParentURL: string(i.ParentURL), ParentName: string(i.ParentName),
			DeletedAt: i.DeletedAt.Time, ScheduledCleanupAt: i.ScheduledCleanupAt.Time,
			DeletedBy: string(i.DeletedBy), DeletedByName: string(i.DeletedByName), CleanupDeletesImages: bool(i.CleanupDeleteImages),
			ParentInTrash: bool(i.ParentInTrash), BeingRemoved: bool(i.BeingPurged)}
	}
	return all
}

// Trash lists everything in Trash. Scope project:read.
func (w *Workspace) Trash(ctx context.Context) (*Trash, error) {
	path, err := w.path("trash")
	if err != nil {
		return nil, err
	}
	var in trashIn
	if err := w.c.do(ctx, call{method: http.MethodGet, path: path, out: &in}); err != nil {
		return nil, err
	}
	s := in.Sections
	return &Trash{Items: toItems(in.Items), RetentionDays: float64(in.RetentionDays), Sections: Sections{Projects: toItems(s.Projects),
		Versions: toItems(s.Versions), Workflows: toItems(s.Workflows), Trainings: toItems(s.Trainings), Images: toItems(s.Images)}}, nil
}

// Restore says what Workspace.Restore is to bring back.
type Restore struct {
	Type     ItemType `json:"type"`
	ID       string   `json:"id"`                // as the Trash lists it
	ParentID string   `json:"parentId,omitzero"` // of a version: its project's id, as the Trash lists it
	NewURL   string   `json:"newUrl,omitzero"`   // another slug for a project or workflow; Cullet only
}

// Restored is what came back.
type Restored struct {
	Type           ItemType
	ID             string
	URL            string // the slug it has now; "" where it has none or the server did not tell
	RestoredToRoot bool   // its folder is gone: it lies at the workspace's root
	RenamedFrom    string // the slug it had before; "" where it has kept it
}

// Restore brings back one item of the Trash, by its id (contract/10, T6). Scope
// project:update, version:update or workflow:update, by the type.
// Errors: ErrNotInTrash, *SlugTakenError, *ParentInTrashError, ErrBeingRemoved,
// ErrNotImplemented for types that the server cannot restore, and ErrInvalid,
// without a request, where the type or id is blank. When it was refused, nothing
// has changed.
func (w *Workspace) Restore(ctx context.Context, r Restore) (*Restored, error) {
	if strings.TrimSpace(string(r.Type)) == "" || strings.TrimSpace(r.ID) == "" {
		return nil, fmt.Errorf("%w: a restore needs the type and the id of an item in Trash", ErrInvalid)
	}
	path, err := w.path("trash", "restore")
	if err != nil {
		return nil, err
	}
	var in struct {
		Type, ID, URL  text
		RestoredToRoot flag
		RenamedFrom    text
	}
	if err := w.c.do(ctx, call{method: http.MethodPost, path: path, body: r, out: &in}); err != nil {
		return nil, explainRestore(err, r)
	}
	back := &Restored{Type: ItemType(in.Type), ID: string(in.ID), URL: string(in.URL), RestoredToRoot: bool(in.RestoredToRoot), RenamedFrom: string(in.RenamedFrom)}
	if back.Type == "" { // no client reads these, so a server may leave them out
		back.Type = r.Type
	}
	if back.ID == "" {
		back.ID = r.ID
	}
	return back, nil
}

// restoreFirst restores the first item of a section that matches. The item may go
// between the two requests; the second then says so.
func (w *Workspace) restoreFirst(ctx context.Context, typ ItemType, name string, section func(Sections) []TrashItem, match func(TrashItem) bool) (*Restored, error) {
	t, err := w.Trash(ctx)
	if err != nil {
		return nil, err
	}
	for _, i := range section(t.Sections) {
		if match(i) {
			i.Type = typ // the section says it, too
			return w.Restore(ctx, i.Undo())
		}
	}
	return nil, fmt.Errorf("%s %s: %w", typ, name, ErrNotInTrash)
}

// Deletion is what a Delete did.
type Deletion struct {
	Type     ItemType
	ID       string // as the Trash lists it; "" where the server did not tell
	ParentID string // of a version: its project's id

	// What only Cullet tells.
	DeletedAt          time.Time
	ScheduledCleanupAt time.Time // until then it can be restored
	CancelledTrainings []CancelledTraining
}

// Undo returns the request that takes back exactly this deletion, whatever has its
// slug by then.
func (d Deletion) Undo() Restore {
	return TrashItem{Type: d.Type, ID: d.ID, ParentID: d.ParentID}.Undo()
}

// CancelledTraining is a training that had not ended when what it belongs to was
// deleted.
type CancelledTraining struct {
	ID           string
	ModelType    string
	MicroCredits int64 // what it cost, in millionths of a credit, up to that instant
}

// delete moves what lies at a path to Trash.
func (w *Workspace) delete(ctx context.Context, below ...string) (*Deletion, error) {
	path, err := w.path(below...)
	if err != nil {
		return nil, err
	}
	var in struct {
		ProjectID, WorkflowID         text
		DeletedAt, ScheduledCleanupAt instant
		CancelledTrainings            []struct {
			TrainingID, ModelType text
			MicroCredits          number
		}
	}
	if err := w.c.do(ctx, call{method: http.MethodDelete, path: path, out: &in}); err != nil {
		return nil, err
	}
	d := &Deletion{DeletedAt: in.DeletedAt.Time, ScheduledCleanupAt: in.ScheduledCleanupAt.Time}
	switch {
	case len(below) == 1:
		d.Type, d.ID = TypeProject, string(in.ProjectID)
	case below[0] == "workflows":
		d.Type, d.ID = TypeWorkflow, string(in.WorkflowID)
	default:
		d.Type, d.ID, d.ParentID = TypeVersion, below[1], string(in.ProjectID)
	}
	for _, t := range in.CancelledTrainings {
		d.CancelledTrainings = append(d.CancelledTrainings, CancelledTraining{string(t.TrainingID), string(t.ModelType), int64(t.MicroCredits)})
	}
	return d, nil
}

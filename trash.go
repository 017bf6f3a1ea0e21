package cullet

import (
	"fmt"
	"slices"
	"time"
)

// Trashable is a type of thing that can be moved to Trash.
type Trashable string

// The trashable types. A new one is added here, in the switch of each layer
// that the compiler or its test then names, and nowhere else.
const (
	TrashProject  Trashable = "project"
	TrashVersion  Trashable = "version"
	TrashTraining Trashable = "training"
	TrashWorkflow Trashable = "workflow"
	TrashImages   Trashable = "images"
)

// TrashableTypes lists all types in the order in which lists show them, and in
// which a restore of several goes: parents before children (R2).
func TrashableTypes() []Trashable {
	return []Trashable{TrashProject, TrashVersion, TrashTraining, TrashWorkflow, TrashImages}
}

// Known says whether t is a trashable type.
func (t Trashable) Known() bool { return slices.Contains(TrashableTypes(), t) }

// TrashState is where an item is on its way.
//
//	         delete                 purge               finish
//	(active) ──────▶ trashed ──────────────▶ purging ──────────▶ gone
//	   ▲                │
//	   └────────────────┘ restore
type TrashState string

// The states. Active and Gone have no row in the store: the thing is simply
// there, or nothing of it is left.
const (
	Active  TrashState = "active"
	Trashed TrashState = "trashed"
	Purging TrashState = "purging"
	Gone    TrashState = "gone"
)

// TrashStates lists all states.
func TrashStates() []TrashState { return []TrashState{Active, Trashed, Purging, Gone} }

// TrashEvent is what moves an item from one state to the next.
type TrashEvent string

// The events.
const (
	EventDelete  TrashEvent = "delete"
	EventRestore TrashEvent = "restore"
	EventPurge   TrashEvent = "purge"
	EventFinish  TrashEvent = "finish"
)

// TrashEvents lists all events.
func TrashEvents() []TrashEvent {
	return []TrashEvent{EventDelete, EventRestore, EventPurge, EventFinish}
}

var trashMoves = map[TrashState]map[TrashEvent]TrashState{
	Active:  {EventDelete: Trashed},
	Trashed: {EventRestore: Active, EventPurge: Purging},
	Purging: {EventFinish: Gone},
}

// NextTrash is the state after the event. There is no way back from purging
// (R5), and none forward without having been in Trash (C1).
func NextTrash(s TrashState, e TrashEvent) (TrashState, error) {
	if next, ok := trashMoves[s][e]; ok {
		return next, nil
	}
	return s, E(Conflict, "what is %s cannot take the event %s", s, e)
}

// DefaultRetention is how long an item stays restorable unless the operator or
// the workspace says otherwise.
const DefaultRetention = 30 * 24 * time.Hour

// CleanupAt is when an item deleted now is due. The date is kept with the item:
// a later change of the retention never shortens it (C7).
func CleanupAt(deleted time.Time, retention time.Duration) time.Time {
	return deleted.Add(retention)
}

// TrashItem is one act of deletion: the root that a person deleted. What lies
// below the root is hidden by it and is no item of its own.
type TrashItem struct {
	ID        string // of the item itself
	Workspace string
	Type      Trashable
	Target    string // internal id of the thing
	Number    int64  // of a version, else 0
	Name      string // of the thing
	Slug      string // of a project or workflow, "" else

	Project       string // id of the project a version, training or images belong to
	ProjectSlug   string // its present slug, which may have changed since the deletion
	ProjectName   string
	Version       string // id of a training's version
	VersionNumber int64
	ParentItem    string    // trash item of the nearest parent that is in Trash itself, "" when active
	ParentType    Trashable // type of that parent
	ParentName    string    // how a person calls it

	DeletedAt     time.Time
	DeletedBy     string // actor id
	DeletedByName string
	DeletedMeans  Means
	CleanupAt     time.Time // own date
	EffectiveAt   time.Time // the date that cleanup goes by: never before a child's (C8)
	State         TrashState
	Revision      int64 // grows with each change of the item (P4)
	Contents      Contents
	PurgeOrder    string // id of the order that purges it, "" for cleanup
	Problem       string // why its purge waits, "" where it does not (C11)

	FreeableBytes int64     // of files that deleting it alone would free, as counted last
	SharedBytes   int64     // of files that something else refers to as well
	CountedAt     time.Time // when they were counted; zero: not yet

	HeldAt     time.Time // zero: not held itself (C8)
	HeldBy     string    // who holds it, by name
	HoldReason string    //
	HeldBelow  string    // what holds it although it is not held itself: "version 3", "" where nothing does

	DoneRows  int64 // removed by the purge so far
	DoneBytes int64 // freed by the purge so far
}

// WireID is the id by which clients of Roboflow's API restore the item: the
// number for a version, the internal id for everything else (contract/10).
func (t TrashItem) WireID() string {
	if t.Type == TrashVersion {
		return fmt.Sprint(t.Number)
	}
	return t.Target
}

// Handle is how a person names the thing: its slug, "my-detector/3" for a
// version, the id of a training. It is what the confirmation dialog has typed.
func (t TrashItem) Handle() string {
	switch t.Type {
	case TrashVersion:
		return fmt.Sprintf("%s/%d", t.ProjectSlug, t.Number)
	case TrashProject, TrashWorkflow:
		return t.Slug
	default:
		return t.Target
	}
}

// Contents is what came along with a deletion, counted when it happened.
type Contents struct {
	Images      int64
	Annotations int64
	Versions    int64
	Exports     int64
	Trainings   int64
	Models      int64
	Cancelled   []CancelledTraining
	Interrupted int64  // generations and exports that stopped
	Folder      string // id of the folder the project was in
	FolderName  string
	Bytes       int64 // logical bytes: what its rows refer to, shared or not
}

// Add adds what another deletion took along. What lies in Trash by itself below something
// that goes too is added like everything else: a version's frozen images are its own.
func (c *Contents) Add(o Contents) {
	c.Images += o.Images
	c.Annotations += o.Annotations
	c.Versions += o.Versions
	c.Exports += o.Exports
	c.Trainings += o.Trainings
	c.Models += o.Models
	c.Bytes += o.Bytes
}

// CancelledTraining is a training that a deletion ended (D4).
type CancelledTraining struct {
	ID           string
	ModelType    string
	MicroCredits int64
}

// Held says whether nobody may purge the item: it is held, or something that lies in
// Trash below it is (C8).
func (t TrashItem) Held() bool { return !t.HeldAt.IsZero() || t.HeldBelow != "" }

// HeldWords says by what an item is held.
func (t TrashItem) HeldWords() string {
	if !t.HeldAt.IsZero() {
		return fmt.Sprintf("it is held by %s: %s", t.HeldBy, t.HoldReason)
	}
	return fmt.Sprintf("it is held because %s below it is", t.HeldBelow)
}

// Urgency is how near an item's cleanup is.
type Urgency string

// The urgencies, calmest first.
const (
	Calm    Urgency = "calm"
	Soon    Urgency = "soon"    // at most 7 days
	LastDay Urgency = "last"    // at most 24 hours
	Due     Urgency = "due"     // the date has passed
	Waiting Urgency = "waiting" // it has, but cleanup waits (C6); the item alone cannot say so
	Held    Urgency = "held"    // it is held
	Leaving Urgency = "purging" // it is being deleted
)

// Urgency says how near the item's cleanup is at the given time.
func (t TrashItem) Urgency(now time.Time) Urgency {
	left := t.EffectiveAt.Sub(now)
	switch {
	case t.State == Purging:
		return Leaving
	case t.Held():
		return Held
	case left <= 0:
		return Due
	case left <= 24*time.Hour:
		return LastDay
	case left <= 7*24*time.Hour:
		return Soon
	}
	return Calm
}

// TimeLeft says in words how long an item stays: from 48 hours on in days,
// rounded to the nearest; below that in whole hours, rounded down; below one
// hour in minutes.
func TimeLeft(left time.Duration) string {
	switch {
	case left >= 48*time.Hour:
		return plural(int64((left+12*time.Hour)/(24*time.Hour)), "day") + " left"
	case left >= time.Hour:
		return plural(int64(left/time.Hour), "hour") + " left"
	case left >= time.Minute:
		return plural(int64(left/time.Minute), "minute") + " left"
	}
	return "less than a minute left"
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

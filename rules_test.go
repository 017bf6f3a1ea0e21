package cullet_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
)

// TestTrashStates takes every state through every event: what the table does not
// name is refused and stays as it is.
func TestTrashStates(t *testing.T) {
	t.Parallel()
	want := map[cullet.TrashState]map[cullet.TrashEvent]cullet.TrashState{
		cullet.Active:  {cullet.EventDelete: cullet.Trashed},
		cullet.Trashed: {cullet.EventRestore: cullet.Active, cullet.EventPurge: cullet.Purging},
		cullet.Purging: {cullet.EventFinish: cullet.Gone}, // R5: no way back
		cullet.Gone:    {},
	}
	for _, s := range cullet.TrashStates() {
		for _, e := range cullet.TrashEvents() {
			got, err := cullet.NextTrash(s, e)
			next, allowed := want[s][e]
			switch {
			case allowed && (err != nil || got != next):
				t.Errorf("%s after %s: got %s, %v; want %s", s, e, got, err, next)
			case !allowed && (cullet.CodeOf(err) != cullet.Conflict || got != s):
				t.Errorf("%s after %s: got %s, %v; want a conflict that changes nothing", s, e, got, err)
			}
		}
	}
}

// TestTrainingStates: what has ended stays as it ended (D4), a stop keeps the
// model, a lost worker's training can be begun again.
func TestTrainingStates(t *testing.T) {
	t.Parallel()
	for _, s := range cullet.TrainingStates() {
		for _, e := range cullet.TrainingEvents() {
			next, err := cullet.NextTraining(s, e)
			if s.Ended() && err == nil {
				t.Errorf("%s has ended and goes to %s by %s", s, next, e)
			}
			if !s.Ended() && e == cullet.TrainCancel && next != cullet.TrainCancelled {
				t.Errorf("D4: %s is not cancelled by a cancel but %s (%v)", s, next, err)
			}
		}
	}
	for _, c := range []struct {
		from cullet.TrainingState
		by   cullet.TrainingEvent
		to   cullet.TrainingState
	}{
		{cullet.TrainQueued, cullet.TrainClaim, cullet.TrainStarting},
		{cullet.TrainStarting, cullet.TrainBegin, cullet.TrainRunning},
		{cullet.TrainRunning, cullet.TrainFinish, cullet.TrainFinished},
		{cullet.TrainStopping, cullet.TrainFinish, cullet.TrainStopped},
		{cullet.TrainRunning, cullet.TrainLose, cullet.TrainQueued},
		{cullet.TrainStopping, cullet.TrainLose, cullet.TrainFailed},
	} {
		if got, err := cullet.NextTraining(c.from, c.by); got != c.to || err != nil {
			t.Errorf("%s by %s: got %s, %v; want %s", c.from, c.by, got, err, c.to)
		}
	}
	if n := len(cullet.InFlight()); n != 4 {
		t.Errorf("D4 names 4 states in flight, there are %d", n)
	}
}

func TestTimeLeft(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		left time.Duration
		want string
	}{
		{30 * 24 * time.Hour, "30 days left"},
		{30*24*time.Hour - time.Second, "30 days left"},
		{29*24*time.Hour + 11*time.Hour, "29 days left"},
		{48 * time.Hour, "2 days left"},
		{48*time.Hour - time.Second, "47 hours left"},
		{time.Hour, "1 hour left"},
		{59*time.Minute + 59*time.Second, "59 minutes left"},
		{59 * time.Second, "less than a minute left"},
	} {
		if got := cullet.TimeLeft(c.left); got != c.want {
			t.Errorf("TimeLeft(%v) = %q, want %q", c.left, got, c.want)
		}
	}
}

func TestCharge(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		d          time.Duration
		rate, want int64
	}{
		{time.Hour, 1_000_000, 1_000_000},
		{90 * time.Minute, 1_000_000, 1_500_000},
		{time.Second, 3_600_000, 1000},
		{-time.Hour, 1_000_000, 0}, // C6: a clock that went back charges nothing
		{365 * 24 * time.Hour, 1_000_000_000, 8_760_000_000_000},
	} {
		if got := cullet.Charge(at, at.Add(c.d), c.rate); got != c.want {
			t.Errorf("Charge(%v at %d/h) = %d, want %d", c.d, c.rate, got, c.want)
		}
	}
}

func TestSlugs(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"My Detector!": "my-detector", "..": "", "日本": "", "A__b": "a__b", "-x-": "x", "Été 9": "t-9"} {
		if got := cullet.Slugify(name); got != want {
			t.Errorf("Slugify(%q) = %q, want %q", name, got, want)
		}
	}
	if got := cullet.Slugify(strings.Repeat("ab ", 10_000)); len(got) > cullet.MaxSlug {
		t.Errorf("a slug of %d bytes", len(got))
	}
	for _, bad := range []string{"", "..", "a/b", "a%2fb", "Trash", "trash", "42", "settings", strings.Repeat("a", 101), "-a", "a b", "groups"} {
		if cullet.CheckProjectSlug(bad) == nil {
			t.Errorf("%q is taken for a project slug", bad)
		}
	}
	for _, good := range []string{"a", "my-detector", "42a", "a_b"} {
		if err := cullet.CheckProjectSlug(good); err != nil {
			t.Errorf("%q is refused: %v", good, err)
		}
	}
	for range 50 { // a slug that looks like an id would be taken for that thing
		project, workflow := cullet.NewID(cullet.ProjectID), cullet.NewID(cullet.WorkflowID)
		if cullet.CheckNewProjectSlug(project) == nil || cullet.CheckWorkflowSlug(workflow) == nil {
			t.Errorf("%q or %q is taken for a slug", project, workflow)
		}
		if cullet.CheckNewProjectSlug(project+"x") != nil || cullet.CheckNewProjectSlug(project[:21]) != nil || cullet.CheckWorkflowSlug("a"+workflow) != nil {
			t.Errorf("what only begins like %q or %q is refused", project, workflow)
		}
	}
	taken := map[string]bool{"a": true, "a-2": true}
	if got := cullet.FreeSlug("a", func(s string) bool { return taken[s] }); got != "a-3" {
		t.Errorf("FreeSlug = %q", got)
	}
}

// TestP2NoActorButAPersonInABrowserCanPurge: whatever its role and scopes, a key has no capability.
func TestP2NoActorButAPersonInABrowserCanPurge(t *testing.T) {
	t.Parallel()
	key := cullet.Actor{Means: cullet.ByKey, Role: cullet.Owner, Session: "even with one"}
	if key.CanDo(cullet.PurgeItems) || key.CanDo(cullet.EmptyTrash) {
		t.Error("a key can purge")
	}
	for role, want := range map[cullet.Role][2]bool{cullet.Viewer: {false, false}, cullet.Editor: {false, false}, cullet.Admin: {true, false}, cullet.Owner: {true, true}} {
		a := cullet.Actor{Means: cullet.ByWeb, Role: role, Session: "s"}
		if got := [2]bool{a.CanDo(cullet.PurgeItems), a.CanDo(cullet.EmptyTrash)}; got != want {
			t.Errorf("%s: purge and empty %v, want %v", role, got, want)
		}
		a.Session = ""
		if a.CanDo(cullet.PurgeItems) {
			t.Errorf("%s without a session can purge", role)
		}
	}
}

// TestScopesAndRoles: a key can do what its scopes and its maker's role both allow.
func TestScopesAndRoles(t *testing.T) {
	t.Parallel()
	k := cullet.Actor{Means: cullet.ByKey, Role: cullet.Viewer, Scoped: true, Scopes: []cullet.Scope{cullet.ProjectRead, cullet.ProjectUpdate}}
	if !k.Can(cullet.ProjectRead) || k.Can(cullet.ProjectUpdate) || k.Can(cullet.VersionRead) {
		t.Error("a key of a viewer with project:read and project:update")
	}
	if (cullet.Actor{Means: cullet.ByKey, Role: cullet.Owner}).Can("purge") {
		t.Error("an unknown scope is allowed")
	}
}

// TestAuditChain: a changed field changes the hash.
func TestAuditChain(t *testing.T) {
	t.Parallel()
	e := cullet.AuditEntry{Workspace: "ws", Seq: 1, At: time.UnixMicro(1), Act: cullet.ActDelete, Detail: map[string]string{"b": "2", "a": "1"}}
	first := e.ChainHash()
	e.Hash = "x"
	if e.ChainHash() != first {
		t.Error("the hash depends on itself")
	}
	for n, change := range []func(*cullet.AuditEntry){
		func(e *cullet.AuditEntry) { e.Seq++ }, func(e *cullet.AuditEntry) { e.At = e.At.Add(time.Microsecond) },
		func(e *cullet.AuditEntry) { e.ActorName = "x" }, func(e *cullet.AuditEntry) { e.Result = "x" },
		func(e *cullet.AuditEntry) { e.Detail = map[string]string{"a": "1"} }, func(e *cullet.AuditEntry) { e.Prev = "x" },
	} {
		c := e
		change(&c)
		if c.ChainHash() == first {
			t.Errorf("change %d leaves the hash as it was", n)
		}
	}
}

func TestErrorCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		code cullet.Code
		says string
	}{
		{&cullet.SlugTaken{Type: cullet.TrashProject, Slug: "a", Free: "a-2"}, cullet.Conflict, "a-2"},
		{&cullet.ParentTrashed{Type: cullet.TrashProject, Name: "my-detector"}, cullet.Conflict, "in trash"},
		{&cullet.NotInTrash{Type: cullet.TrashProject, ID: "d_x"}, cullet.NotFound, "not found in trash"},
		{&cullet.BeingPurged{Type: cullet.TrashProject, Name: "a"}, cullet.Conflict, "is being permanently deleted"},
		{&cullet.Busy{Training: "tr_1"}, cullet.Conflict, "in progress"},
		{errors.Join(nil, cullet.E(cullet.Invalid, "no")), cullet.Invalid, "no"},
	} {
		if cullet.CodeOf(c.err) != c.code || !strings.Contains(cullet.MessageOf(c.err), c.says) {
			t.Errorf("%v: code %s, message %q", c.err, cullet.CodeOf(c.err), cullet.MessageOf(c.err))
		}
	}
	if strings.Contains((&cullet.ParentTrashed{}).ErrorMessage(), "not in trash") {
		t.Error(`R2: the command line reads "not in trash" as something else`)
	}
	secret := errors.New("password=hunter2")
	if cullet.CodeOf(secret) != cullet.Internal || strings.Contains(cullet.MessageOf(secret), "hunter2") {
		t.Error("a fault of ours is told to the client")
	}
}

func TestShapes(t *testing.T) {
	t.Parallel()
	p := cullet.PolygonOf("a", []cullet.Point{{X: 0, Y: 0}, {X: 4, Y: 0}, {X: 4, Y: 3}})
	if p.Area() != 6 || p.X != 2 || p.Y != 1.5 || p.W != 4 || p.H != 3 {
		t.Errorf("a triangle: %+v, area %v", p, p.Area())
	}
	b := cullet.BoxAround("a", 1, 2, 3, 4)
	if b.Left() != 1 || b.Top() != 2 || math.Abs(b.Area()-12) > 1e-9 {
		t.Errorf("a box: %+v", b)
	}
}

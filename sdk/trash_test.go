package sdk_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/cullet-vision/cullet/sdk"
)

const fullTrash = `{"items":[],"retentionDays":30,"sections":{
	"projects":[
		{"id":"d_2","type":"project","name":"My Detector","url":"my-detector","deletedAt":"2026-04-02T12:00:00.500Z","scheduledCleanupAt":"2026-05-02T12:00:00.500Z",
		 "deletedBy":"u_1","deletedByName":"Ada","cleanupDeleteImages":true,"parentInTrash":false,"beingPurged":true},
		{"id":"d_1","type":"project","name":"My Detector","url":"my-detector","deletedAt":"2026-04-01T12:00:00.000Z"}],
	"versions":[
		{"id":"3","type":"version","name":"v3","parentId":"d_9","parentUrl":"another","parentName":"Another"},
		{"id":3,"type":"version","name":"v3","parentId":"d_1","parentUrl":"my-detector","parentName":"My Detector"}],
	"workflows":[{"id":"wf_1","name":"Count","url":"count"}]}}`

func TestTrashIsTyped(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers{"GET /acme/trash": {body: `{"items":[
		{"id":"tr_1","type":"training","name":"yolo","parentId":"v_1","parentUrl":"my-detector/3","deletedAt":1775037600},
		{"id":"x","type":"images","deletedAt":{"_seconds":1775037600,"_nanoseconds":5},"scheduledCleanupAt":"soon","cleanupDeleteImages":"no"}],
		"sections":{"trainings":[{"id":"tr_1","type":"training"}],"images":[{"id":"x","type":"images"}]},"somethingNew":[1]}`}})
	ws := f.workspace(t)
	got, err := ws.Trash(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []sdk.TrashItem{
		{Type: sdk.TypeTraining, ID: "tr_1", Name: "yolo", ParentID: "v_1", ParentURL: "my-detector/3", DeletedAt: time.Unix(1775037600, 0).UTC()},
		{Type: sdk.TypeImages, ID: "x", DeletedAt: time.Unix(1775037600, 5).UTC()},
	}
	if !reflect.DeepEqual(got.Items, want) {
		t.Errorf("items: got %+v\nwant %+v", got.Items, want)
	}
	if len(got.Sections.Trainings) != 1 || len(got.Sections.Images) != 1 || got.Sections.Projects == nil || got.RetentionDays != 0 {
		t.Errorf("got %+v", got)
	}
	if u := got.Items[0].Undo(); u != (sdk.Restore{Type: sdk.TypeTraining, ID: "tr_1"}) {
		t.Errorf("a training is restored by its id alone (contract/10, T6), not by %+v", u)
	}

	f.say("GET /acme/trash", 200, fullTrash)
	if got, err = ws.Trash(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := got.Sections.Projects[0]
	if first.DeletedAt != time.Date(2026, 4, 2, 12, 0, 0, 5e8, time.UTC) || first.ScheduledCleanupAt != time.Date(2026, 5, 2, 12, 0, 0, 5e8, time.UTC) ||
		first.DeletedBy != "u_1" || first.DeletedByName != "Ada" || !first.CleanupDeletesImages || !first.BeingRemoved || got.RetentionDays != 30 {
		t.Errorf("got %+v", first)
	}
	for _, body := range []string{`{}`, `{"items":null,"sections":null}`, `{"items":[],"sections":{"projects":null}}`} {
		f.say("GET /acme/trash", 200, body)
		if got, err := ws.Trash(t.Context()); err != nil || len(got.Items) != 0 {
			t.Errorf("%s: got %+v, %v", body, got, err)
		}
	}
}

// The handles' restores send what the Python SDK sends (contract/10, "Client
// behaviour"): the list, then the first match by its id.
func TestRestoreByHandle(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers{"GET /acme/trash": {body: fullTrash}, "POST /acme/trash/restore": {body: `{"restored":true}`},
		"GET /acme/workflows/count": {body: `{"workflow":{"id":"wf_1","name":"Count","url":"count","config":"{}"}}`}})
	p := project(t, f)
	v, err := p.Version(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	w, err := f.workspace(t).Workflow(t.Context(), "count")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		call func() (*sdk.Restored, error)
		body string
		back sdk.Restored
	}{
		{"project", func() (*sdk.Restored, error) { return p.Restore(t.Context()) }, `{"type":"project","id":"d_2"}`, sdk.Restored{Type: "project", ID: "d_2"}},
		{"version", func() (*sdk.Restored, error) { return v.Restore(t.Context()) }, `{"type":"version","id":"3","parentId":"d_1"}`, sdk.Restored{Type: "version", ID: "3"}},
		{"workflow", func() (*sdk.Restored, error) { return w.Restore(t.Context()) }, `{"type":"workflow","id":"wf_1"}`, sdk.Restored{Type: "workflow", ID: "wf_1"}},
	} {
		n := len(f.lines())
		back, err := tc.call()
		if err != nil || *back != tc.back {
			t.Errorf("%s: got %+v, %v", tc.name, back, err)
		}
		if got := f.lines()[n:]; !slices.Equal(got, []string{"GET /acme/trash", "POST /acme/trash/restore"}) {
			t.Errorf("%s: sent %v", tc.name, got)
		}
		if got := f.last().body; got != tc.body {
			t.Errorf("%s: sent %s, want %s", tc.name, got, tc.body)
		}
	}

	f.say("GET /acme/trash", 200, `{"items":[]}`)
	n := len(f.lines())
	_, errP := p.Restore(t.Context())
	_, errV := v.Restore(t.Context())
	_, errW := w.Restore(t.Context())
	for name, err := range map[string]error{"project my-detector: not in Trash": errP, "version my-detector/3: not in Trash": errV, "workflow count: not in Trash": errW} {
		exactly(t, name, err, "ErrNotInTrash", "ErrNotFound")
		if err.Error() != name {
			t.Errorf("got %q, want %q", err, name)
		}
	}
	if got := f.lines()[n:]; len(got) != 3 {
		t.Errorf("sent %v, want the three lists alone", got)
	}
	f.say("GET /acme/trash", 401, `{"error":"no"}`)
	if _, err := p.Restore(t.Context()); !errors.Is(err, sdk.ErrUnauthorized) || errors.Is(err, sdk.ErrNotInTrash) {
		t.Errorf("a list that was refused: got %v, want ErrUnauthorized", err)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers{
		"DELETE /acme/my-detector": {body: `{"deleted":true,"type":"project","workspace":"acme","project":"my-detector","projectId":"d_1","trash":true,
			"deletedAt":"2026-04-01T12:00:00.000Z","scheduledCleanupAt":"2026-05-01T12:00:00.000Z","cancelledTrainings":[{"trainingId":"tr_1","modelType":"yolo","microCredits":1200000}]}`},
		"DELETE /acme/my-detector/3":   {body: `{"deleted":true,"type":"version","workspace":"acme","project":"my-detector","projectId":"d_1","version":"3","trash":true}`},
		"DELETE /acme/workflows/count": {body: `{"deleted":true,"type":"workflow","workspace":"acme","workflow":"count","workflowId":"wf_1","trash":true}`},
		"GET /acme/workflows/count":    {body: `{"id":"wf_1","name":"Count","url":"count","config":{"specification":{}}}`},
	})
	p := project(t, f)
	d, err := p.Delete(t.Context())
	want := sdk.Deletion{Type: sdk.TypeProject, ID: "d_1", DeletedAt: time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC), ScheduledCleanupAt: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
		CancelledTrainings: []sdk.CancelledTraining{{ID: "tr_1", ModelType: "yolo", MicroCredits: 1_200_000}}}
	if err != nil || !reflect.DeepEqual(*d, want) {
		t.Errorf("got %+v, %v\nwant %+v", d, err, want)
	}
	if got := d.Undo(); got != (sdk.Restore{Type: "project", ID: "d_1"}) {
		t.Errorf("undo: got %+v", got)
	}
	v, err := p.Version(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if d, err = v.Delete(t.Context()); err != nil || d.Undo() != (sdk.Restore{Type: "version", ID: "3", ParentID: "d_1"}) {
		t.Errorf("version: got %+v, %v", d, err)
	}
	w, err := f.workspace(t).Workflow(t.Context(), "count")
	if err != nil || w.Config != `{"specification":{}}` {
		t.Fatalf("a flat workflow whose definition is no text: got %+v, %v", w, err)
	}
	if d, err = w.Delete(t.Context()); err != nil || d.Undo() != (sdk.Restore{Type: "workflow", ID: "wf_1"}) {
		t.Errorf("workflow: got %+v, %v", d, err)
	}
	for _, status := range []int{201, 202, 204} { // the Python SDK takes none of them for a success either
		f.say("DELETE /acme/my-detector", status, "")
		if _, err := p.Delete(t.Context()); !errors.Is(err, sdk.ErrBadAnswer) {
			t.Errorf("%d: got %v, want ErrBadAnswer", status, err)
		}
	}
}

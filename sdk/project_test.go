package sdk_test

import (
	"errors"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/cullet-vision/cullet/sdk"
)

func TestProjectAndVersions(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers{})
	p := project(t, f)
	got := *p
	if got.Workspace != "acme" || got.Slug != "my-detector" || got.ID != "d_1" || got.Name != "My Detector" || got.Type != "object-detection" ||
		got.Annotation != "glass" || got.License != "MIT" || got.Created != time.Unix(1775037600, 25e7).UTC() || got.Images != 12 || got.Unannotated != 2 ||
		got.Splits != (sdk.Splits{Train: 8, Valid: 2, Test: 2}) || got.Classes["bottle"] != 3 || got.Colors["bottle"] != "#ff0000" || got.VersionCount != 2 {
		t.Errorf("got %+v", got)
	}
	all, err := p.Versions(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("got %v, %v", all, err)
	}
	v3, v1 := all[0], all[1]
	if v3.Number != 3 || v3.Name != "v3" || v3.Images != 12 || !reflect.DeepEqual(v3.Exports, []string{"coco"}) || !v3.HasModel || string(v3.Preprocessing) != `{"auto-orient":true}` {
		t.Errorf("got %+v", v3)
	}
	if v1.Number != 1 || v1.Images != 10 || !v1.Generating || v1.HasModel || v1.Progress != 0 {
		t.Errorf("got %+v", v1)
	}
	if _, err := p.Version(t.Context(), 2); !errors.Is(err, sdk.ErrNotFound) {
		t.Errorf("version 2: got %v, want ErrNotFound", err)
	}
	if _, err := p.Version(t.Context(), 0); !errors.Is(err, sdk.ErrInvalid) {
		t.Errorf("version 0: got %v, want ErrInvalid", err)
	}
	for _, body := range []string{`{}`, `{"project":{}}`, `{"project":{"id":"acme/"}}`, `{"project":{"id":"acme/trash"}}`, `{"items":[],"sections":{}}`,
		`{"project":{"id":"acme/my-detector"},"versions":[{"id":"acme/my-detector/x"}]}`} {
		f.say("GET /acme/my-detector", 200, body)
		if _, err := p.Versions(t.Context()); !errors.Is(err, sdk.ErrBadAnswer) {
			t.Errorf("%s: got %v, want ErrBadAnswer", body, err)
		}
	}
}

func TestProjects(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers{"GET /acme": {body: `{"workspace":{"name":"Acme","url":"acme","projects":[{"id":"acme/a","name":"A"},{"id":"acme/b","name":"B","classes":{}}]}}`}})
	ws := f.workspace(t)
	all, err := ws.Projects(t.Context())
	if err != nil || len(all) != 2 || all[0].Slug != "a" || all[1].Name != "B" {
		t.Errorf("got %v, %v", all, err)
	}
	f.say("DELETE /acme/b", 200, `{"deleted":true}`)
	if _, err := all[1].Delete(t.Context()); err != nil { // they are handles like any
		t.Error(err)
	}
	f.say("GET /acme", 200, `{}`)
	if _, err := ws.Projects(t.Context()); !errors.Is(err, sdk.ErrBadAnswer) {
		t.Errorf("got %v, want ErrBadAnswer", err)
	}
}

func TestCreateProject(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers{"POST /acme/projects": {201, `{"id":"acme/shards-2","name":"Shards","type":"object-detection"}`}})
	ws := f.workspace(t)
	p, err := ws.CreateProject(t.Context(), sdk.NewProject{Name: "Shards", Type: "object-detection", License: "MIT", Annotation: "shards"})
	if err != nil || p.Slug != "shards-2" {
		t.Errorf("got %+v, %v", p, err)
	}
	if got, want := f.last().body, `{"name":"Shards","type":"object-detection","license":"MIT","annotation":"shards"}`; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	f.say("POST /acme/projects", 200, `{"error":{"message":"the plan allows no more"}}`)
	_, err = ws.CreateProject(t.Context(), sdk.NewProject{Name: "Shards"})
	var e *sdk.Error
	if !errors.As(err, &e) || e.Message != "the plan allows no more" || !errors.Is(err, sdk.ErrInvalid) {
		t.Errorf("an error in a 200: got %v", err)
	}
}

func TestWorkflows(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers{})
	ws := f.workspace(t)
	for _, body := range []string{
		`{"workflows":[{"id":"wf_1","name":"Count","url":"count","status":"active","blockCount":2,"created":1775037600,"updated":1775037601}]}`,
		`[{"id":"wf_1","name":"Count","url":"count","created":1775037600,"updated":1775037601}]`,
	} {
		f.say("GET /acme/workflows", 200, body)
		all, err := ws.Workflows(t.Context())
		if err != nil || len(all) != 1 || all[0].ID != "wf_1" || all[0].Slug != "count" || all[0].Created != time.Unix(1775037600, 0).UTC() || all[0].Config != "" {
			t.Errorf("%s: got %+v, %v", body, all, err)
		}
	}
	for _, body := range []string{`{"workflows":[{"id":"wf_1"}]}`, `{"workflows":3}`} {
		f.say("GET /acme/workflows", 200, body)
		if _, err := ws.Workflows(t.Context()); !errors.Is(err, sdk.ErrBadAnswer) {
			t.Errorf("%s: got %v, want ErrBadAnswer", body, err)
		}
	}
}

func TestCreateWorkflow(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers{"POST /acme/createWorkflow": {201, `{"workflow":{"url":"count-the-shards"}}`}})
	ws := f.workspace(t)
	w, err := ws.CreateWorkflow(t.Context(), sdk.NewWorkflow{Name: "Count the shards!", Config: "\uFEFF{\"version\": \"1.0\",\n \"steps\": []}"})
	if err != nil {
		t.Fatal(err)
	}
	q, _ := url.ParseQuery(f.last().query)
	want := url.Values{"api_key": {testKey}, "name": {"Count the shards!"}, "url": {"count-the-shards"}, "template": {"{}"}, "config": {`{"specification":{"version":"1.0","steps":[]}}`}}
	if !reflect.DeepEqual(q, want) || f.last().body != "" {
		t.Errorf("sent %v and %q, want %v and no body", q, f.last().body, want)
	}
	if w.Slug != "count-the-shards" || w.Name != "Count the shards!" || w.Config != want.Get("config") {
		t.Errorf("got %+v", w)
	}
	f.say("POST /acme/createWorkflow", 409, `{"error":{"message":"there is a workflow \"count\" already; choose another url, such as \"count-2\"","type":"Conflict"}}`)
	_, err = ws.CreateWorkflow(t.Context(), sdk.NewWorkflow{Name: "Count", URL: "count"})
	exactly(t, "taken", err, "ErrSlugTaken", "ErrConflict")
	var taken *sdk.SlugTakenError
	if !errors.As(err, &taken) || taken.Free != "count-2" || taken.Refused != (sdk.Restore{}) {
		t.Errorf("got %+v", taken)
	}
	noKey(t, err)
}

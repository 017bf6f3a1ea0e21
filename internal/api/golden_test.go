package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cullet-vision/cullet/internal/cullettest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// story is a conversation as it went over the wire, with what differs from run to
// run replaced by what it is.
type story struct {
	b     *bench
	text  strings.Builder
	names map[string]string
	count map[string]int
}

func newStory(b *bench) *story {
	return &story{b: b, names: map[string]string{}, count: map[string]int{}}
}

var (
	idRE        = regexp.MustCompile(`\b(ws|u|key|grp|d|img|ann|v|exp|tr|m|wf|ti|b|ci|bt|req|ck)_[a-km-np-z2-9]{20,32}\b`)
	signatureRE = regexp.MustCompile(`signature=[\w-]+`)
	hostRE      = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	prefixRE    = regexp.MustCompile(`"prefix": "ck_[a-z2-9]{4}"`)
	sizeRE      = regexp.MustCompile(`"size": \d+`)
)

// plain numbers ids in the order in which they were met.
func (s *story) plain(text string) string {
	text = idRE.ReplaceAllStringFunc(text, func(id string) string {
		if s.names[id] == "" {
			kind, _, _ := strings.Cut(id, "_")
			s.count[kind]++
			s.names[id] = fmt.Sprintf("%s_%d", kind, s.count[kind])
		}
		return s.names[id]
	})
	text = hostRE.ReplaceAllString(text, "http://HOST")
	text = prefixRE.ReplaceAllString(text, `"prefix": "ck_PREF"`)
	text = sizeRE.ReplaceAllString(text, `"size": 1000`)
	return signatureRE.ReplaceAllString(text, "signature=SIGNED")
}

// say sends a request and writes it down with its answer.
func (s *story) say(method, path string, body any) result {
	s.b.t.Helper()
	s.b.Clock.Advance(1500 * time.Millisecond) // so that what came first is told from what came later
	got := s.b.call(method, path, body)
	fmt.Fprintf(&s.text, "%s %s", method, s.plain(path))
	if body != nil {
		fmt.Fprintf(&s.text, " %s", s.plain(toJSON(body)))
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, got.body, "", "  "); err != nil {
		s.b.t.Fatalf("%s %s: the answer is no JSON: %v", method, path, got)
	}
	fmt.Fprintf(&s.text, "\n%d %s\n\n", got.status, s.plain(strings.TrimSpace(pretty.String())))
	return got
}

// compare compares the story with the golden file.
func (s *story) compare(name string) {
	s.b.t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(s.text.String()), 0o644); err != nil {
			s.b.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		s.b.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), s.text.String()); diff != "" {
		s.b.t.Errorf("%s differs (-want +got; go test -update writes it anew):\n%s", path, diff)
	}
}

// The wire of Trash, to the field (contract/10).
func TestTrashOnTheWire(t *testing.T) {
	each(t, func(b *bench) {
		s := newStory(b)
		b.Project(b.t, "My Detector")
		b.Image(b.t, "my-detector", 1)
		b.Version(b.t, "my-detector")
		b.Version(b.t, "my-detector")
		b.Workflow(b.t, "Count Bottles")
		folder := b.call(post, "/{ws}/groups", map[string]any{"name": "Shed", "projects": []string{"my-detector"}}).text("id")
		s.say(get, "/{ws}/trash", nil)
		s.say(post, "/{ws}/my-detector/1/v2/trainings", map[string]any{"modelType": "test-model"})

		projectID := s.say(del, "/{ws}/my-detector/1", nil).text("projectId")
		workflow := s.say(del, "/{ws}/workflows/count-bottles", nil).text("workflowId")
		s.say(post, "/{ws}/my-detector/2/v2/trainings", map[string]any{"modelType": "test-model"})
		s.say(del, "/{ws}/my-detector", nil)
		s.say(get, "/{ws}/trash", nil)

		s.say(post, "/{ws}/trash/restore", map[string]any{"type": "version", "id": 1, "parentId": projectID}) // R2
		b.call(del, "/{ws}/groups/"+folder, nil)
		s.say(post, "/{ws}/trash/restore", map[string]any{"type": "project", "id": projectID}) // R4
		s.say(post, "/{ws}/trash/restore", map[string]any{"type": "version", "id": "1", "parentId": projectID})
		s.say(post, "/{ws}/trash/restore", map[string]any{"type": "workflow", "id": workflow})

		s.say(del, "/{ws}/"+projectID, nil) // by its id
		b.Project(b.t, "My Detector")
		s.say(post, "/{ws}/trash/restore", map[string]any{"type": "project", "id": projectID})                            // R3
		s.say(post, "/{ws}/trash/restore", map[string]any{"type": "project", "id": projectID, "newUrl": "my-detector-2"}) // R3
		s.say(get, "/{ws}/trash", nil)
		s.say(del, "/{ws}/my-detector-2/1/v2/trainings/tr_x", nil)
		s.say(post, "/{ws}/trash/restore", map[string]any{"type": "training", "id": "tr_x"})
		s.say(post, "/{ws}/trash/empty", map[string]any{})
		s.compare("trash.txt")
		b.Check(b.t)
	})
}

// What the SDK reads of workspaces, projects, versions, images, exports,
// trainings, workflows and keys.
func TestShapesOnTheWire(t *testing.T) {
	each(t, func(b *bench) {
		s := newStory(b)
		s.say(post, "/", nil)
		s.say(post, "/{ws}/projects", map[string]any{"name": "My Detector", "type": "object-detection", "license": "MIT", "annotation": "bottles"})
		image := b.image("my-detector", "batch=Monday&tag=red", field{"name", "one.png"}, field{"split", "valid"}, field{"file", string(cullettest.PNG(1))}, field{"metadata", `{"camera":"c1"}`}).text("id")
		s.say(post, "/dataset/my-detector/annotate/"+image+"?name=a.coco.json&jobName=Monday", map[string]any{"annotationFile": coco("bottle"), "labelmap": nil})
		s.say(post, "/dataset/my-detector/annotate/"+image+"?name=a.coco.json", map[string]any{"annotationFile": coco("jar")})
		s.say(get, "/{ws}/my-detector/images/"+image, nil)
		s.say(post, "/{ws}/my-detector/search", map[string]any{"fields": strings.Fields("id name created annotations labels split tags owner embedding user_metadata"), "batch": false, "limit": 10})
		s.say(post, "/{ws}/my-detector/generate", map[string]any{"preprocessing": map[string]any{}, "augmentation": map[string]any{}})
		s.say(get, "/{ws}/my-detector/1?nocache=true", nil)
		s.say(get, "/{ws}/my-detector/1/coco", nil)
		b.finish("my-detector", 1)
		s.say(get, "/{ws}/my-detector/1/coco", nil)
		b.Export(b.t, "my-detector", 1, "coco")
		s.say(get, "/{ws}/my-detector/1/coco", nil)
		training := s.say(post, "/{ws}/my-detector/1/v2/trainings", map[string]any{"modelType": "test-model", "epochs": 3}).text("trainingId")
		s.say(get, "/{ws}/my-detector/1/v2/trainings", nil)
		s.say(post, "/{ws}/my-detector/1/v2/trainings/cancel", map[string]any{"trainingId": training})
		s.say(post, "/{ws}/my-detector/1/v2/trainings/cancel", map[string]any{"trainingId": training})
		s.say(post, "/{ws}/my-detector/1/v2/trainings/stop", map[string]any{})
		s.say(get, "/{ws}/my-detector/1/v2/trainings/get", nil)
		s.say(get, "/{ws}/my-detector/1/training/results", nil)
		s.say(get, "/{ws}/my-detector/1", nil)
		s.say(get, "/{ws}/my-detector", nil)
		s.say(get, "/{ws}", nil)
		folder := s.say(post, "/{ws}/groups", map[string]any{"name": "Shed", "projects": []string{b.Workspace.Slug + "/my-detector"}}).text("id")
		s.say(get, "/{ws}/groups", nil)
		s.say(post, "/{ws}/groups/"+folder, map[string]any{"name": "Attic"})
		s.say(del, "/{ws}/groups/"+folder+"/projects", map[string]any{"projects": []string{"my-detector"}})
		s.say(get, "/{ws}/groups?groupId="+folder, nil)
		s.say(post, "/{ws}/createWorkflow?name=Count+Bottles&url=count-bottles&template=%7B%7D&config="+escape(`{"specification":{"steps":[{}]}}`), nil)
		s.say(get, "/{ws}/workflows", nil)
		workflow := s.say(get, "/{ws}/workflows/count-bottles", nil).text("workflow.id")
		s.say(post, "/{ws}/updateWorkflow", map[string]any{"id": workflow, "name": "Counted", "url": "count-bottles", "config": "{}"})
		s.say(get, "/{ws}/workflows/"+workflow+"/versions", nil)
		key := s.say(post, "/{ws}/api-keys", map[string]any{"name": "ci", "scopes": []string{"project:read"}}).text("keyId")
		s.say(patch, "/{ws}/api-keys/"+key, map[string]any{"protected": true})
		s.say(get, "/{ws}/api-keys/"+key, nil)
		s.say(del, "/{ws}/api-keys/"+key, nil)
		s.say(get, "/{ws}/api-keys", nil)
		s.say(get, "/{ws}/asynctasks/task_1", nil)
		s.say(get, "/{ws}/model-evals", nil)
		s.say(get, "/{ws}/model-evals/compare", nil)
		s.say(get, "/-/v1/{ws}/ledger", nil)
		s.say(get, "/{ws}/my-detector/health", nil)
		s.say(post, "/{ws}/projects/fork", map[string]any{"url": "x"})
		s.compare("shapes.txt")
		b.Check(b.t)
	})
}

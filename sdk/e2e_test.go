package sdk_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cullet-vision/cullet/sdk"
)

// server is the real binary, serving a new data folder.
type server struct {
	url, workspace, key string
	log                 *bytes.Buffer // read it after the process has ended
}

// startCullet builds cullet, makes a data folder and serves it until the test
// ends. The address comes from the line that the run contract promises.
func startCullet(t *testing.T) *server {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs the server")
	}
	dir := t.TempDir()
	binary, data := filepath.Join(dir, "cullet"), filepath.Join(dir, "data")
	build := exec.Command("go", "build", "-o", binary, "./cmd/cullet")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	var env []string // none of whoever runs this
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "CULLET_") {
			env = append(env, e)
		}
	}

	setup := exec.Command(binary, "init", "--data", data, "--workspace", "Glass Works", "--email", "ada@example.com", "--password-stdin", "--json")
	setup.Env, setup.Stdin = env, strings.NewReader("correct horse battery staple\n")
	out, err := setup.Output()
	if err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	var made struct {
		Workspace string
		APIKey    string `json:"api_key"`
	}
	if err := json.Unmarshal(out, &made); err != nil || made.APIKey == "" {
		t.Fatalf("init printed %q: %v", out, err)
	}

	s := &server{workspace: made.Workspace, key: made.APIKey, log: &bytes.Buffer{}}
	serve := exec.Command(binary, "serve", "--data", data, "--addr", "127.0.0.1:0")
	serve.Env, serve.Stderr = env, s.log
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	ready := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() {
			if at, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				ready <- at
			}
		}
	}()
	t.Cleanup(func() {
		_ = serve.Process.Signal(syscall.SIGTERM)
		last := time.AfterFunc(30*time.Second, func() { _ = serve.Process.Kill() })
		defer last.Stop()
		<-drained
		if err := serve.Wait(); err != nil {
			t.Errorf("serve did not end with 0: %v", err)
		}
		if strings.Contains(s.log.String(), s.key) {
			t.Error("the server's log holds the API key")
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log)
		}
	})
	select {
	case s.url = <-ready:
	case <-drained:
		t.Fatal("serve ended before it was ready")
	case <-time.After(30 * time.Second):
		t.Fatal("serve was not ready within 30 s")
	}
	return s
}

func (s *server) connect(t *testing.T, key string) *sdk.Workspace {
	t.Helper()
	c, err := sdk.New(s.url, key)
	if err != nil {
		t.Fatal(err)
	}
	ws, err := c.Workspace(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if ws.Slug != s.workspace {
		t.Fatalf("workspace: got %q, want %q", ws.Slug, s.workspace)
	}
	return ws
}

// raw does what the SDK has no function for.
func (s *server) raw(t *testing.T, path, contentType string, body io.Reader, into any) {
	t.Helper()
	resp, err := http.Post(s.url+path, contentType, body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("POST %s: %s: %s", path, resp.Status, b)
	}
	if err := json.Unmarshal(b, into); into != nil && err != nil {
		t.Fatalf("POST %s: %v in %s", path, err, b)
	}
}

// upload puts a picture into a project.
func (s *server) upload(t *testing.T, project string) {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, 64, 48))
	picture.Set(3, 4, color.RGBA{200, 10, 30, 255})
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for name, value := range map[string]string{"name": "bottle.png", "split": "train"} {
		if err := form.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	file, err := form.CreateFormFile("file", "bottle.png")
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(file, picture); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	s.raw(t, "/dataset/"+project+"/upload?name=bottle.png&split=train&api_key="+url.QueryEscape(s.key), form.FormDataContentType(), &b, nil)
}

// generate freezes a version and waits until it is there.
func (s *server) generate(t *testing.T, p *sdk.Project) *sdk.Version {
	t.Helper()
	var in struct{ Version int }
	s.raw(t, "/"+p.Workspace+"/"+p.Slug+"/generate?api_key="+url.QueryEscape(s.key), "application/json",
		strings.NewReader(`{"preprocessing":{},"augmentation":{}}`), &in)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		v, err := p.Version(ctx, in.Version)
		if err != nil {
			t.Fatal(err)
		}
		if !v.Generating && v.Images > 0 {
			return v
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// newKey makes another API key with these scopes.
func (s *server) newKey(t *testing.T, scopes ...string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"name": "narrow", "scopes": scopes})
	if err != nil {
		t.Fatal(err)
	}
	var in struct{ Key string }
	s.raw(t, "/"+s.workspace+"/api-keys?api_key="+url.QueryEscape(s.key), "application/json", bytes.NewReader(body), &in)
	return in.Key
}

func (s *server) newProject(t *testing.T, ws *sdk.Workspace, name string) *sdk.Project {
	t.Helper()
	p, err := ws.CreateProject(t.Context(), sdk.NewProject{Name: name, Type: "object-detection", License: "MIT", Annotation: "bottles"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// must fails at once if a call did not work.
func must[T any](got T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
}

func refused[T any](got T, err error) error {
	if err == nil {
		return fmt.Errorf("it was not refused: %+v", got)
	}
	return err
}

// The page's promise through this client, against the real binary.
func TestAgainstTheServer(t *testing.T) {
	t.Parallel()
	s := startCullet(t)
	ws := s.connect(t, s.key)

	t.Run("project", func(t *testing.T) { endToEndProject(t, s, ws) })
	t.Run("slug taken", func(t *testing.T) { endToEndSlugTaken(t, s, ws) })
	t.Run("version", func(t *testing.T) { endToEndVersion(t, s, ws) })
	t.Run("workflow", func(t *testing.T) { endToEndWorkflow(t, ws) })
	t.Run("refusals", func(t *testing.T) { endToEndRefusals(t, s, ws) })

	trash := must(ws.Trash(t.Context()))(t)
	if len(trash.Items) != 0 {
		t.Errorf("everything was restored, and in Trash are %+v", trash.Items)
	}
}

func endToEndProject(t *testing.T, s *server, ws *sdk.Workspace) {
	ctx := t.Context()
	p := s.newProject(t, ws, "My Detector")
	s.upload(t, p.Slug)
	before := must(ws.Project(ctx, p.Slug))(t)
	if before.Images != 1 || before.ID == "" || before.Type != "object-detection" || time.Since(before.Created) > time.Hour {
		t.Errorf("got %+v", before)
	}
	exactly(t, "restore of what is active", refused(p.Restore(ctx)), "ErrNotInTrash", "ErrNotFound")

	d := must(p.Delete(ctx))(t)
	if d.Type != sdk.TypeProject || d.ID != before.ID || d.ScheduledCleanupAt.Sub(d.DeletedAt) != 720*time.Hour || time.Since(d.DeletedAt).Abs() > time.Minute {
		t.Errorf("deletion: got %+v", d)
	}
	exactly(t, "a project in Trash", refused(ws.Project(ctx, p.Slug)), "ErrNotFound")
	exactly(t, "deleted twice (D8)", refused(p.Delete(ctx)), "ErrNotFound")
	if slices.ContainsFunc(must(ws.Projects(ctx))(t), func(o *sdk.Project) bool { return o.Slug == p.Slug }) {
		t.Error("a project in Trash is listed (D3)")
	}

	trash := must(ws.Trash(ctx))(t)
	if len(trash.Items) != 1 || len(trash.Sections.Projects) != 1 || trash.Items[0] != trash.Sections.Projects[0] || trash.RetentionDays != 30 {
		t.Fatalf("trash: got %+v", trash)
	}
	item := trash.Items[0]
	if item.Type != sdk.TypeProject || item.ID != before.ID || item.URL != p.Slug || item.Name != "My Detector" || item.DeletedBy == "" || item.DeletedByName == "" ||
		!item.CleanupDeletesImages || item.ParentInTrash || item.BeingRemoved || !item.DeletedAt.Equal(d.DeletedAt) || !item.ScheduledCleanupAt.Equal(d.ScheduledCleanupAt) {
		t.Errorf("item: got %+v", item)
	}

	back := must(p.Restore(ctx))(t)
	if *back != (sdk.Restored{Type: sdk.TypeProject, ID: before.ID, URL: p.Slug}) {
		t.Errorf("restored: got %+v", back)
	}
	after := must(ws.Project(ctx, p.Slug))(t)
	if after.ID != before.ID || after.Images != 1 || after.Name != before.Name {
		t.Errorf("it came back otherwise (R1): %+v, was %+v", after, before)
	}
	exactly(t, "restored twice", refused(ws.Restore(ctx, item.Undo())), "ErrNotInTrash", "ErrNotFound")
}

func endToEndSlugTaken(t *testing.T, s *server, ws *sdk.Workspace) {
	ctx := t.Context()
	old := s.newProject(t, ws, "Shards")
	d := must(old.Delete(ctx))(t)
	taker := s.newProject(t, ws, "Shards") // D7
	if taker.Slug != old.Slug {
		t.Fatalf("the slug of a project in Trash is not free (D7): got %q", taker.Slug)
	}
	err := refused(old.Restore(ctx))
	exactly(t, "the slug is taken (R3)", err, "ErrSlugTaken", "ErrConflict")
	var taken *sdk.SlugTakenError
	if !errors.As(err, &taken) || taken.Free == "" || taken.Refused != d.Undo() {
		t.Fatalf("got %+v, want a free slug and the request", taken)
	}
	again := taken.Refused
	again.NewURL = taken.Free
	back := must(ws.Restore(ctx, again))(t)
	if back.URL != taken.Free || back.RenamedFrom != old.Slug {
		t.Errorf("got %+v", back)
	}
	old.Slug = back.URL
	if got := must(ws.Project(ctx, old.Slug))(t); got.ID != d.ID {
		t.Errorf("under the new slug is %s, want %s", got.ID, d.ID)
	}

	// Both deleted, both had one slug at some time: each deletion is undone by its own.
	first, second := must(taker.Delete(ctx))(t), must(old.Delete(ctx))(t)
	must(ws.Restore(ctx, first.Undo()))(t)
	must(ws.Restore(ctx, second.Undo()))(t)
}

func endToEndVersion(t *testing.T, s *server, ws *sdk.Workspace) {
	ctx := t.Context()
	p := s.newProject(t, ws, "Bottles")
	s.upload(t, p.Slug)
	one, two := s.generate(t, p), s.generate(t, p)
	if one.Number != 1 || two.Number != 2 || one.Images != 1 {
		t.Errorf("got %+v and %+v", one, two)
	}

	d := must(one.Delete(ctx))(t)
	exactly(t, "a version in Trash", refused(p.Version(ctx, 1)), "ErrNotFound")
	exactly(t, "deleted twice (D8)", refused(one.Delete(ctx)), "ErrNotFound")
	if all := must(p.Versions(ctx))(t); len(all) != 1 || all[0].Number != 2 {
		t.Errorf("got %+v, want version 2 alone", all)
	}
	item := must(ws.Trash(ctx))(t).Sections.Versions[0]
	if item.ID != "1" || item.ParentURL != p.Slug || item.ParentID == "" || item.Undo() != d.Undo() {
		t.Errorf("item: got %+v; the deletion was %+v", item, d)
	}
	must(one.Restore(ctx))(t)
	must(p.Version(ctx, 1))(t)

	// Its project in Trash, too: parents first (R2), and what was deleted by itself
	// stays there (R1).
	must(one.Delete(ctx))(t)
	must(p.Delete(ctx))(t)
	err := refused(one.Restore(ctx))
	exactly(t, "the project is in Trash (R2)", err, "ErrParentInTrash", "ErrConflict")
	var parent *sdk.ParentInTrashError
	if !errors.As(err, &parent) || parent.Type != sdk.TypeProject || parent.Name != p.Slug {
		t.Errorf("got %+v, want the project named", parent)
	}
	exactly(t, "it went with its project", refused(two.Restore(ctx)), "ErrNotInTrash", "ErrNotFound")
	if item := must(ws.Trash(ctx))(t).Sections.Versions[0]; !item.ParentInTrash {
		t.Errorf("item: got %+v, want its parent in Trash", item)
	}
	must(p.Restore(ctx))(t)
	must(p.Version(ctx, 2))(t)
	exactly(t, "deleted before its project (R1)", refused(p.Version(ctx, 1)), "ErrNotFound")
	must(one.Restore(ctx))(t)
	if got := must(p.Version(ctx, 1))(t); got.Images != 1 {
		t.Errorf("got %+v", got)
	}
}

func endToEndWorkflow(t *testing.T, ws *sdk.Workspace) {
	ctx := t.Context()
	w := must(ws.CreateWorkflow(ctx, sdk.NewWorkflow{Name: "Count the shards", Config: `{"version":"1.0","inputs":[],"steps":[{"type":"x"}],"outputs":[]}`}))(t)
	if w.Slug != "count-the-shards" || !strings.HasPrefix(w.Config, `{"specification":`) {
		t.Errorf("got %+v", w)
	}
	exactly(t, "the slug is taken", refused(ws.CreateWorkflow(ctx, sdk.NewWorkflow{Name: "Another", URL: w.Slug})), "ErrSlugTaken", "ErrConflict")
	d := must(w.Delete(ctx))(t)
	exactly(t, "a workflow in Trash", refused(ws.Workflow(ctx, w.Slug)), "ErrNotFound")
	if all := must(ws.Workflows(ctx))(t); len(all) != 0 {
		t.Errorf("got %+v, want none (D3)", all)
	}
	if d.ID != w.ID || must(ws.Trash(ctx))(t).Sections.Workflows[0].Undo() != d.Undo() {
		t.Errorf("deletion: got %+v", d)
	}
	taker := must(ws.CreateWorkflow(ctx, sdk.NewWorkflow{Name: "Taker", URL: w.Slug}))(t)
	var taken *sdk.SlugTakenError
	if err := refused(w.Restore(ctx)); !errors.As(err, &taken) || taken.Free == "" {
		t.Errorf("got %v, want a free slug (R3)", err)
	}
	must(taker.Delete(ctx))(t)
	must(ws.Restore(ctx, d.Undo()))(t) // and not the one that was deleted last
	if got := must(ws.Workflow(ctx, w.Slug))(t); got.ID != w.ID || got.Config != w.Config {
		t.Errorf("it came back otherwise (R1): %+v, was %+v", got, w)
	}
	must(w.Delete(ctx))(t)
	must(w.Restore(ctx))(t) // R7: the one that was deleted last
	if got := must(ws.Workflow(ctx, w.Slug))(t); got.ID != w.ID {
		t.Errorf("got %s, want %s: newest first (R7)", got.ID, w.ID)
	}
	must(ws.Restore(ctx, sdk.Restore{Type: sdk.TypeWorkflow, ID: taker.ID, NewURL: "taker"}))(t)
}

func endToEndRefusals(t *testing.T, s *server, ws *sdk.Workspace) {
	ctx := t.Context()
	c, err := sdk.New(s.url, "rf_nobody")
	if err != nil {
		t.Fatal(err)
	}
	err = refused(c.Workspace(ctx))
	exactly(t, "a key that is none", err, "ErrUnauthorized")
	var e *sdk.Error
	if !errors.As(err, &e) || e.RequestID == "" || e.Message == "" {
		t.Errorf("got %#v, want the request's id and a sentence", e)
	}

	exactly(t, "no such project", refused(ws.Project(ctx, "nothing")), "ErrNotFound")
	exactly(t, "no such workflow", refused(ws.Workflow(ctx, "nothing")), "ErrNotFound")
	exactly(t, "no such item", refused(ws.Restore(ctx, sdk.Restore{Type: sdk.TypeProject, ID: "d_nothing"})), "ErrNotInTrash", "ErrNotFound")
	exactly(t, "no such type", refused(ws.Restore(ctx, sdk.Restore{Type: "dataset", ID: "d_nothing"})), "ErrInvalid")
	exactly(t, "a version without its project", refused(ws.Restore(ctx, sdk.Restore{Type: sdk.TypeVersion, ID: "1"})), "ErrInvalid")

	p := s.newProject(t, ws, "Guarded")
	narrow := s.connect(t, s.newKey(t, "project:read"))
	seen := must(narrow.Project(ctx, p.Slug))(t)
	exactly(t, "the scope is missing", refused(seen.Delete(ctx)), "ErrUnauthorized")
	must(p.Delete(ctx))(t)
	exactly(t, "the scope is missing for a restore", refused(seen.Restore(ctx)), "ErrUnauthorized")
	must(p.Restore(ctx))(t)

	foreign := &sdk.Workspace{}
	*foreign = *ws
	foreign.Slug = "somebody-elses"
	exactly(t, "another workspace", refused(foreign.Trash(ctx)), "ErrNotFound")
}

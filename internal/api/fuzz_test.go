package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/trail"
)

// FuzzTrashRoutes sends anything to the routes of the Trash, with a key that may do all
// that a key may. Nothing is ever deleted for good by it (P2), no answer is a fault of
// ours, and every refusal is in the wire's shape.
func FuzzTrashRoutes(f *testing.F) {
	for _, s := range [][4]string{
		{"GET", "/trash", "", ""}, {"POST", "/trash/restore", "", `{"type":"project","id":"x"}`}, {"POST", "/trash/restore", "", `{"type":"version","id":1,"parentId":"x"}`},
		{"POST", "/trash/empty", "", "{}"}, {"DELETE", "/trash/ti_x", "", ""}, {"DELETE", "/trash", "all=1", ""}, {"POST", "/trash/deleteImmediately", "", `{"items":["x"]}`},
		{"DELETE", "/a/1", "", ""}, {"DELETE", "/workflows/f", "", ""}, {"GET", "//-/v1", "days=7", ""}, {"POST", "/trash/restore", "confirm=yes", "\x00"},
		{"PURGE", "/trash", "", ""}, {"DELETE", "/%2e%2e/trash", "", ""}, {"POST", "/trash/restore", "api_key=", `{"type":"project","id":null,"newUrl":"../x"}`},
	} {
		f.Add(s[0], s[1], s[2], s[3])
	}
	w := cullettest.NewWorld(f, "sqlite")
	door := New(Server{DB: w.DB, Access: w.Access, Catalog: w.Catalog, Intake: w.Intake, Press: w.Press, Queue: w.Queue, Shelf: w.Shelf, Bin: w.Bin, Book: w.Book,
		Trail: &trail.Trail{DB: w.DB}, Blobs: w.Blobs, LinkKey: []byte("k")})
	things := map[string]bool{}
	for _, name := range []string{"a", "b"} {
		p, err := w.Catalog.CreateProject(context.Background(), w.By, dataset.NewProject{Name: name, Type: "object-detection", License: "MIT", Group: "things"})
		if err != nil {
			f.Fatal(err)
		}
		things[p.ID] = true
	}
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		if _, err := w.Bin.DeleteProject(context.Background(), w.By, "a"); err != nil && cullet.CodeOf(err) != cullet.NotFound {
			t.Fatal(err)
		}
		r, err := http.NewRequest(method, "http://cullet.test/acme"+path, strings.NewReader(body))
		if err != nil {
			return // no request that a client could make
		}
		r.URL.RawQuery = query
		r.Header.Set("Authorization", "Bearer "+w.Secret)
		answer := httptest.NewRecorder()
		door.ServeHTTP(answer, r)
		if answer.Code >= 500 && answer.Code != http.StatusNotImplemented {
			t.Fatalf("%s %q ? %q: %d %s", method, path, query, answer.Code, answer.Body)
		}
		var shape struct{ Error any }
		if answer.Code >= 400 && method != http.MethodHead && (json.Unmarshal(answer.Body.Bytes(), &shape) != nil || shape.Error == nil) {
			t.Fatalf("%s %q: %d in another shape: %s", method, path, answer.Code, answer.Body)
		}
		for id := range things {
			if _, err := w.Catalog.Project(context.Background(), w.By, id); err == nil {
				continue
			}
			items, err := w.Bin.List(context.Background(), w.By)
			if err != nil || !inTrash(items, id) {
				t.Fatalf("P2: %s %q ? %q with %q: %s is neither there nor in Trash, %v", method, path, query, body, id, err)
			}
		}
	})
}

func inTrash(items []cullet.TrashItem, target string) bool {
	for _, i := range items {
		if i.Target == target && i.State == cullet.Trashed {
			return true
		}
	}
	return false
}

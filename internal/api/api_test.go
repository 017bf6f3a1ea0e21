package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trail"
)

// bench is a server with one workspace that a test fills, and one of strangers.
type bench struct {
	*cullettest.World
	t        *testing.T
	server   Server
	http     *httptest.Server
	stranger access.Opened
}

const linkKey = "the key that all servers of a test share"

func newBench(t *testing.T, d cullettest.Database) *bench {
	t.Helper()
	w := cullettest.WorldOn(t, d, cullettest.NewClock())
	w.Intake.MaxBytes = 100_000
	b := &bench{World: w, t: t, server: Server{DB: w.DB, Access: w.Access, Catalog: w.Catalog, Intake: w.Intake, Press: w.Press, Queue: w.Queue,
		Shelf: w.Shelf, Bin: w.Bin, Book: w.Book, Trail: &trail.Trail{DB: w.DB}, Blobs: w.Blobs, LinkKey: []byte(linkKey), idle: 300 * time.Millisecond}}
	b.http = b.serve()
	o, err := w.Access.Open(context.Background(), access.NewWorkspace{Name: "Strangers", Email: "eve@example.com", Password: cullettest.Password})
	if err != nil {
		t.Fatal(err)
	}
	b.stranger = o
	return b
}

// serve starts one more server on the same data.
func (b *bench) serve() *httptest.Server {
	h := httptest.NewUnstartedServer(New(b.server))
	h.Config.MaxHeaderBytes = MaxHeaderBytes
	h.Start()
	b.t.Cleanup(h.Close)
	return h
}

// each runs a test on both databases.
func each(t *testing.T, test func(b *bench)) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) { test(newBench(t, d)) })
}

// one runs a test on the first database: what it looks at never gets to one.
func one(t *testing.T) *bench {
	t.Parallel()
	return newBench(t, cullettest.NewDatabase(t, "sqlite"))
}

// result is what came back.
type result struct {
	status int
	header http.Header
	body   []byte
}

func (r result) String() string { return fmt.Sprintf("%d %s", r.status, r.body) }

// message is the sentence of a refusal, whatever its shape.
func (r result) message() string {
	var flat struct{ Error string }
	if json.Unmarshal(r.body, &flat) == nil && flat.Error != "" {
		return flat.Error
	}
	var full struct{ Error struct{ Message string } }
	_ = json.Unmarshal(r.body, &full)
	return full.Error.Message
}

func (r result) isFlat() bool {
	var flat struct{ Error string }
	return json.Unmarshal(r.body, &flat) == nil && flat.Error != ""
}

// get reads a place of the answer, such as "items.0.id".
func (r result) get(path string) any {
	var v any
	_ = json.Unmarshal(r.body, &v)
	for _, key := range strings.Split(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[key]
		case []any:
			n := 0
			if _, err := fmt.Sscan(key, &n); err != nil || n >= len(at) {
				return nil
			}
			v = at[n]
		default:
			return nil
		}
	}
	return v
}

func (r result) text(path string) string { return fmt.Sprint(r.get(path)) }

// call sends a request as the first key of the workspace. The body is JSON, or is
// sent as it is when it is bytes.
func (b *bench) call(method, path string, body any) result {
	return b.callAs(b.Secret, method, path, body)
}

func (b *bench) callAs(key, method, path string, body any) result {
	b.t.Helper()
	var in io.Reader
	switch v := body.(type) {
	case nil:
	case []byte:
		in = bytes.NewReader(v)
	default:
		in = strings.NewReader(toJSON(v))
	}
	path = strings.ReplaceAll(path, "{ws}", b.Workspace.Slug)
	if key != "" {
		sign := "?"
		if strings.Contains(path, "?") {
			sign = "&"
		}
		path += sign + "api_key=" + key
	}
	r, err := http.NewRequest(method, b.http.URL, in)
	if err != nil {
		b.t.Fatal(err)
	}
	// As it is written: %2f and .. are what some tests are about.
	way, query, _ := strings.Cut(path, "?")
	r.URL.Opaque, r.URL.RawQuery = way, query
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return b.send(r)
}

// planWords make the clients' command line print an advertisement (contract/00).
var planWords = []string{"require", "growth plan", "enterprise", "folder billing", "unauthorized", "over_quota"}

// leaks are what no answer ever says.
var leaks = []string{"panic", "goroutine", "SQL", "sqlite", "pgx", "no such row", ".go:", "json: cannot", "multipart: ", "context canceled"}

// send sends a request and looks at what every answer has in common.
func (b *bench) send(r *http.Request) result {
	b.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		b.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatalf("%s %s: reading the answer: %v", r.Method, r.URL, err)
	}
	got := result{answer.StatusCode, answer.Header, body}
	if got.status >= 300 && got.status < 400 {
		b.t.Errorf("%s %s: answered by a redirect: %v", r.Method, r.URL, got)
	}
	if got.status >= 400 && r.Method != http.MethodHead {
		if len(got.message()) < 5 {
			b.t.Errorf("%s %s: no sentence that says why: %v", r.Method, r.URL.Path, got)
		}
		for _, word := range append(planWords, leaks...) {
			if strings.Contains(strings.ToLower(string(body)), word) {
				b.t.Errorf("%s %s: the answer says %q: %v", r.Method, r.URL.Path, word, got)
			}
		}
	}
	if got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("X-Request-Id") == "" {
		b.t.Errorf("%s %s: headers are missing: %v", r.Method, r.URL.Path, got.header)
	}
	return got
}

// want fails unless the status is the one given.
func (b *bench) want(status int, got result) result {
	b.t.Helper()
	if got.status != status {
		b.t.Fatalf("got %v, want %d", got, status)
	}
	return got
}

// key makes a key with these scopes alone.
func (b *bench) key(scopes ...cullet.Scope) string {
	b.t.Helper()
	if scopes == nil {
		scopes = []cullet.Scope{}
	}
	_, secret, err := b.Access.MakeKey(context.Background(), b.By, access.KeyChange{Scopes: &scopes})
	if err != nil {
		b.t.Fatal(err)
	}
	return secret
}

// field is one part of a form, in its place.
type field struct{ name, value string }

// image sends a form as the SDK does. The field named file holds the image.
func (b *bench) image(project, query string, fields ...field) result {
	b.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for _, f := range fields {
		if f.name == "file" {
			w, err := m.CreateFormFile("file", "from-the-part.png")
			if err != nil {
				b.t.Fatal(err)
			}
			_, _ = io.WriteString(w, f.value)
		} else if err := m.WriteField(f.name, f.value); err != nil {
			b.t.Fatal(err)
		}
	}
	_ = m.Close()
	u := b.http.URL + "/dataset/" + project + "/upload?" + query + "&api_key=" + b.Secret
	r, err := http.NewRequest(post, u, &body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", m.FormDataContentType())
	return b.send(r)
}

// left is everything that a refusal must not add to: rows by table, blobs, drafts.
func (b *bench) left() string {
	b.t.Helper()
	ctx := context.Background()
	counts := map[string]int{}
	for _, table := range strings.Fields("projects images annotations versions version_images exports blobs batches folders workflows workflow_versions trash_items api_keys trainings ledger") {
		var n int
		if err := b.DB.Conn().Reader.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
			b.t.Fatal(err)
		}
		counts[table] = n
	}
	err := b.Blobs.List(ctx, func(blob.Info) error { counts["files"]++; return nil })
	if err != nil {
		b.t.Fatal(err)
	}
	if counts["drafts"], err = b.Blobs.SweepTemp(ctx, b.Clock.Now().Add(time.Hour)); err != nil {
		b.t.Fatal(err)
	}
	return toJSON(counts)
}

// audit lists what the workspace's audit says, newest last.
func (b *bench) audit() (all []cullet.AuditEntry) {
	b.t.Helper()
	err := b.DB.View(context.Background(), func(tx *store.Tx) (err error) {
		all, err = tx.ListAudit(context.Background(), b.Workspace.ID, 0, 10_000)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// coco is an annotation with one box.
func coco(class string) string {
	return fmt.Sprintf(`{"images":[{"id":1,"file_name":"0.png","width":16,"height":12}],"categories":[{"id":1,"name":%q}],`+
		`"annotations":[{"id":1,"image_id":1,"category_id":1,"bbox":[1,2,6,4],"area":24,"iscrowd":0,"segmentation":[]}]}`, class)
}

func escape(s string) string { return url.QueryEscape(s) }

// finish generates a version to its end.
func (b *bench) finish(project string, number int64) {
	b.t.Helper()
	d, err := b.Press.Version(context.Background(), b.By, project, number)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.Press.Freeze(context.Background(), d.ID); err != nil {
		b.t.Fatal(err)
	}
}

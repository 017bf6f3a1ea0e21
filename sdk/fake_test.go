package sdk_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/cullet-vision/cullet/sdk"
)

const testKey = "rf_s3cret+key/with=signs"

// answers are what a fake server says, by "METHOD /path"; anything else is a 404
// in the words of hosted Roboflow.
type answers map[string]answer

type answer struct {
	status int // 0: 200
	body   string
}

// sent is one request that the fake got.
type sent struct{ line, body, key, query string }

type fake struct {
	*httptest.Server
	mu   sync.Mutex
	got  []sent
	says answers
}

func newFake(t *testing.T, says answers) *fake {
	t.Helper()
	f := &fake{says: says}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		line := r.Method + " " + r.URL.EscapedPath()
		f.mu.Lock()
		f.got = append(f.got, sent{line, string(body), r.URL.Query().Get("api_key"), r.URL.RawQuery})
		a, ok := f.says[line]
		f.mu.Unlock()
		if !ok {
			a = answer{404, `{"error":{"message":"Unsupported request","type":"GraphMethodException","hint":"You can see your available resources at GET /"}}`}
		}
		w.Header().Set("X-Request-Id", "req_7")
		if a.status != 0 {
			w.WriteHeader(a.status)
		}
		_, _ = io.WriteString(w, a.body)
	}))
	t.Cleanup(f.Close)
	return f
}

// say changes one answer.
func (f *fake) say(line string, status int, body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.says[line] = answer{status, body}
}

// lines are the requests so far.
func (f *fake) lines() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.got {
		all = append(all, s.line)
	}
	return all
}

func (f *fake) last() sent {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.got[len(f.got)-1]
}

func (f *fake) client(t *testing.T, opts ...sdk.Option) *sdk.Client {
	t.Helper()
	c, err := sdk.New(f.URL, testKey, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// workspace is the fake's, named acme.
func (f *fake) workspace(t *testing.T, opts ...sdk.Option) *sdk.Workspace {
	t.Helper()
	f.say("POST /", 200, `{"welcome":"hi","workspace":"acme"}`)
	ws, err := f.client(t, opts...).Workspace(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ws
}

const oneProject = `{"workspace":{"name":"Acme","url":"acme","members":2},
	"project":{"id":"acme/my-detector","projectId":"d_1","name":"My Detector","type":"object-detection","multilabel":false,"annotation":"glass",
		"classes":{"bottle":3},"colors":{"bottle":"#ff0000"},"created":1775037600.25,"updated":1775037601,"images":12,"unannotated":2,
		"public":false,"splits":{"train":8,"valid":2,"test":2},"license":"MIT","versions":2,"group":null},
	"versions":[
		{"id":"acme/my-detector/3","name":"v3","created":1775037602,"images":12,"splits":{"train":8,"valid":2,"test":2},"preprocessing":{"auto-orient":true},
			"augmentation":{},"exports":["coco"],"model":{"id":"my-detector/3"}},
		{"id":"acme/my-detector/1","name":"v1","created":1775037602,"images":"10","generating":true,"progress":null,"model":null}]}`

func project(t *testing.T, f *fake) *sdk.Project {
	t.Helper()
	f.say("GET /acme/my-detector", 200, oneProject)
	p, err := f.workspace(t).Project(t.Context(), "my-detector")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/reqid"
)

// address fills the braces of a pattern with things that are there, or with what
// the test gives.
func address(pattern string, names ...string) string {
	pairs := append(names, "{project}", "nothing", "{version}", "1", "{workflow}", "nothing", "{training}", "tr_x", "{folder}", "grp_x",
		"{image}", "img_x", "{format}", "coco", "{key}", "key_x", "{kind}", "image", "{id}", "img_x", "*", "x")
	path := strings.NewReplacer(pairs...).Replace(pattern)
	if strings.Contains(path, "{") {
		path = strings.NewReplacer("{task}", "x", "{video}", "x", "{batch}", "x", "{job}", "x", "{export}", "x").Replace(path)
	}
	return path
}

// P2, and the rest of what a key may: every route with no key, with a key without
// any scope, and with a key of each single scope.
func TestEveryRouteWithEveryScope(t *testing.T) {
	b := one(t)
	none := b.key()
	keys := map[cullet.Scope]string{}
	for _, scope := range cullet.AllScopes() {
		keys[scope] = b.key(scope)
	}
	for _, rt := range Routes() {
		path := strings.ReplaceAll(address(rt.Pattern), "{ws}", b.Workspace.Slug)
		if rt.Open {
			if got := b.callAs("", rt.Method, path, nil); got.status == 200 || got.status == 401 {
				t.Errorf("%s %s without a key: %v", rt.Method, path, got)
			}
			continue
		}
		for _, wrong := range []string{"", "ck_nobodyhasthiskey"} {
			if got := b.callAs(wrong, rt.Method, path, nil); got.status != 401 {
				t.Errorf("%s %s with the key %q: %v, want 401", rt.Method, path, wrong, got)
			}
		}
		if got := b.callAs(none, rt.Method, path, nil); len(rt.Scopes) > 0 && got.status != 401 {
			t.Errorf("%s %s without a scope: %v, want 401", rt.Method, path, got)
		}
		for scope, key := range keys {
			got := b.callAs(key, rt.Method, path, nil)
			if may := len(rt.Scopes) == 0 || slices.Contains(rt.Scopes, scope); may == (got.status == 401) {
				t.Errorf("%s %s with the scope %s: %v; its scopes are %v", rt.Method, path, scope, got, rt.Scopes)
			}
			if strings.HasPrefix(rt.Pattern, "/{ws}/trash") && rt.Pattern != "/{ws}/trash/restore" && rt.Method != get && got.status != 403 {
				t.Errorf("P2: %s %s with the scope %s: %v, want 403", rt.Method, path, scope, got)
			}
		}
		if got := b.call(rt.Method, path, nil); !rt.Core != (got.status == 501) {
			t.Errorf("%s %s with full access: %v, but core is %v", rt.Method, path, got, rt.Core)
		}
	}
}

// T1 to T7 and what hosted answers flat are flat, uploads never are.
func TestShapeOfRefusals(t *testing.T) {
	b := one(t)
	for _, rt := range Routes() {
		if rt.Open {
			continue
		}
		want := rt.Method == del && slices.Contains([]string{"/{ws}/{project}", "/{ws}/{project}/{version}", "/{ws}/workflows/{workflow}",
			"/{ws}/{project}/{version}/v2/trainings/{training}"}, rt.Pattern) || strings.HasPrefix(rt.Pattern, "/{ws}/trash") || rt.Pattern == "/{ws}/projects/fork"
		got := b.callAs("", rt.Method, strings.ReplaceAll(address(rt.Pattern), "{ws}", b.Workspace.Slug), nil)
		if got.isFlat() != want {
			t.Errorf("%s %s: %v, want flat %v", rt.Method, rt.Pattern, got, want)
		}
	}
}

// What a stranger's workspace answers tells nothing but what one that does not
// exist tells.
func TestForeignWorkspaceAnswersLikeAnUnknownOne(t *testing.T) {
	b := one(t)
	foreign := b.stranger.Workspace.Slug
	for _, key := range []string{b.Secret, b.key()} {
		for _, rt := range Routes() {
			if !strings.Contains(rt.Pattern, "{ws}") {
				continue
			}
			path := address(rt.Pattern)
			there := b.callAs(key, rt.Method, strings.ReplaceAll(path, "{ws}", foreign), nil)
			nowhere := b.callAs(key, rt.Method, strings.ReplaceAll(path, "{ws}", "no-such-workspace"), nil)
			if there.status != 404 || nowhere.status != 404 || strings.ReplaceAll(string(there.body), foreign, "WS") != strings.ReplaceAll(string(nowhere.body), "no-such-workspace", "WS") {
				t.Errorf("%s %s: the foreign one answers %v, the unknown one %v", rt.Method, path, there, nowhere)
			}
			if !strings.Contains(nowhere.message(), "no-such-workspace") {
				t.Errorf("%s %s: %v does not name it", rt.Method, path, nowhere)
			}
		}
	}
}

// A key without a scope cannot find out what exists.
func TestWithoutAScopeNothingLeaks(t *testing.T) {
	b := one(t)
	b.Project(t, "Secret")
	key := b.key(cullet.ImageRead)
	for _, method := range []string{get, del} {
		there, not := b.callAs(key, method, "/{ws}/secret", nil), b.callAs(key, method, "/{ws}/other", nil)
		if there.status != 401 || not.status != 401 || string(there.body) != string(not.body) {
			t.Errorf("%s: %v and %v", method, there, not)
		}
	}
}

func TestKeyInQueryOrHeader(t *testing.T) {
	b := one(t)
	send := func(query, header string) int {
		r, _ := http.NewRequest(get, b.http.URL+"/"+b.Workspace.Slug+query, nil)
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		r.AddCookie(&http.Cookie{Name: "session", Value: b.Secret}) // means nothing here
		return b.send(r).status
	}
	for _, c := range []struct {
		query, header string
		want          int
	}{
		{"?api_key=" + b.Secret, "", 200},
		{"", "Bearer " + b.Secret, 200},
		{"", "bearer  " + b.Secret, 200},
		{"?api_key=" + b.Secret, "Bearer nonsense", 200},
		{"?api_key=nonsense", "Bearer " + b.Secret, 401},
		{"", "Basic " + b.Secret, 401},
		{"?API_KEY=" + b.Secret, "", 401},
		{"", "", 401},
		{"?api_key=%zz", "", 401},
		{"?api_key=a%00b", "", 400},
	} {
		if got := send(c.query, c.header); got != c.want {
			t.Errorf("%s, %s: %d, want %d", c.query, c.header, got, c.want)
		}
	}
}

// A disabled key, a revoked one, and one whose maker lost the role are out at once.
func TestKeysThatAreOver(t *testing.T) {
	b := one(t)
	made := b.call(post, "/{ws}/api-keys", map[string]any{"name": "k"})
	key, id := made.text("key"), made.text("keyId")
	b.want(200, b.callAs(key, get, "/{ws}/trash", nil))
	b.want(200, b.call(patch, "/{ws}/api-keys/"+id, map[string]any{"disabled": true}))
	b.want(401, b.callAs(key, get, "/{ws}/trash", nil))
	if n := strings.Count(string(b.call(get, "/{ws}/api-keys", nil).body), id); n != 0 {
		t.Error("a disabled key is listed without includeDisabled")
	}
	if n := strings.Count(string(b.call(get, "/{ws}/api-keys?includeDisabled=true", nil).body), id); n != 1 {
		t.Error("includeDisabled does not list it")
	}
	b.want(200, b.call(patch, "/{ws}/api-keys/"+id, map[string]any{"disabled": false}))
	b.want(200, b.callAs(key, get, "/{ws}/trash", nil))
	b.want(200, b.call(del, "/{ws}/api-keys/"+id, nil))
	b.want(401, b.callAs(key, get, "/{ws}/trash", nil))
	b.want(404, b.call(get, "/{ws}/api-keys/"+id, nil))
}

func TestKeysThatAskForTooMuch(t *testing.T) {
	b := one(t)
	maker := b.key(cullet.ProjectRead, cullet.KeyCreate, cullet.KeyUpdate, cullet.KeyRead)
	before := b.left()
	for _, c := range []struct {
		body   map[string]any
		status int
	}{
		{map[string]any{"scopes": nil}, 403},
		{map[string]any{"scopes": []string{"project:read", "project:update"}}, 403},
		{map[string]any{"scopes": []string{"trash:empty"}}, 400},
		{map[string]any{"scopes": []string{"role:owner"}}, 400},
		{map[string]any{"folderIds": []string{"grp_1"}}, 501},
		{map[string]any{"rotationDueAt": "2027-01-01"}, 501},
		{map[string]any{"owners": []string{"u_1"}}, 501},
		{map[string]any{"customMetadata": []string{"u_1"}}, 400},
	} {
		b.want(c.status, b.callAs(maker, post, "/{ws}/api-keys", c.body))
	}
	if after := b.left(); after != before {
		t.Errorf("a refused key left something: %s, before %s", after, before)
	}
	same := b.want(200, b.callAs(maker, post, "/{ws}/api-keys", []byte(nil)))
	if got := same.text("scopes"); !strings.Contains(got, "project:read") || strings.Contains(got, "update:") {
		t.Errorf("an inherited key has the scopes %s", got)
	}
	if got := b.want(200, b.callAs(maker, post, "/{ws}/api-keys", map[string]any{"scopes": []string{}})); toJSON(got.get("scopes")) != "[]" {
		t.Errorf("no scopes: %v", got)
	}
	b.want(403, b.callAs(maker, patch, "/{ws}/api-keys/"+b.By.ID, map[string]any{"disabled": true})) // stronger than itself
	protected := b.call(post, "/{ws}/api-keys", map[string]any{"protected": true}).text("keyId")
	b.want(403, b.call(patch, "/{ws}/api-keys/"+protected, map[string]any{"protected": false}))
	b.want(409, b.call(patch, "/{ws}/api-keys/"+protected, map[string]any{"disabled": true}))
	b.want(501, b.call(post, "/{ws}/api-keys/"+protected+"/roll", []byte(nil)))
}

// Odd words lead nowhere, are never redirected, and delete nothing.
func TestOddWordsInThePath(t *testing.T) {
	b := one(t)
	b.Project(t, "My Detector")
	b.Workflow(t, "Flow")
	before := b.left()
	odd := []string{"..", ".", "%2e%2e", "%2E", "..%2f..", "a%2fb", "%2f", "%5c..%5c", "a%00b", "%ff", "%20", "%0d%0aX:y", "",
		strings.Repeat("A", 300), strings.Repeat("x", 10_000), "trash", "workflows", "groups", "0", "-1", "01", "+1", "99999999999999999999", "projects", "autolabel"}
	for _, w := range odd {
		for _, line := range []string{
			"GET /{odd}", "GET /{ws}/my-detector/{odd}", "GET /{ws}/my-detector/1/{odd}", "GET /{ws}/my-detector/images/{odd}", "GET /{ws}/workflows/{odd}",
			"DELETE /{odd}", "DELETE /{ws}/{odd}", "DELETE /{ws}/my-detector/{odd}", "DELETE /{ws}/{odd}/1", "DELETE /{ws}/workflows/{odd}", "DELETE /{ws}/groups/{odd}",
			"POST /dataset/{odd}/upload", "POST /dataset/my-detector/annotate/{odd}?name=a.txt", "POST /{ws}/{odd}/generate", "GET /{ws}/{odd}/1/coco",
			"DELETE /{ws}/{odd}/my-detector", "DELETE /{ws}/{odd}/../my-detector", "DELETE /{ws}//my-detector",
		} {
			method, path, _ := strings.Cut(line, " ")
			if method == get && strings.HasSuffix(line, "{odd}") && w == "" {
				continue // a slash at the end
			}
			got := b.call(method, strings.ReplaceAll(path, "{odd}", w), nil)
			if got.status < 400 || got.status >= 500 && got.status != 501 {
				t.Errorf("%s with %.20q: %v", line, w, got)
			}
		}
	}
	if after := b.left(); after != before {
		t.Errorf("something changed: %s, before %s", after, before)
	}
	b.want(200, b.call(get, "/{ws}/my-detector", nil))
	b.want(200, b.call(get, "/{ws}/workflows/flow", nil))
}

// A slash at the end is forgiven where nothing can be meant by what is missing
// after it. DELETE /ws/p/ may have been meant for a version.
func TestSlashAtTheEnd(t *testing.T) {
	b := one(t)
	b.Project(t, "My Detector")
	for _, path := range []string{"/{ws}/", "/{ws}/my-detector/", "/{ws}/trash/", "/{ws}/workflows/"} {
		b.want(200, b.call(get, path, nil))
	}
	b.want(501, b.call(post, "/videoinfer/", nil))
	b.want(404, b.call(del, "/{ws}/my-detector/", nil))
	b.want(404, b.call(get, "/{ws}/my-detector//", nil))
	b.want(200, b.call(del, "/{ws}/my-detector", nil))
}

func TestMethodsThatAreNotThere(t *testing.T) {
	b := one(t)
	b.Project(t, "My Detector")
	for line, allow := range map[string]string{
		"PUT /{ws}/my-detector":       "DELETE, GET, HEAD, POST",
		"PATCH /{ws}/trash":           "DELETE, GET, HEAD",
		"DELETE /{ws}/workflows":      "GET, HEAD",
		"DELETE /{ws}/groups":         "GET, HEAD, POST",
		"DELETE /{ws}/createWorkflow": "POST",
		"GET /{ws}/createWorkflow":    "POST",
		"POST /{ws}":                  "GET, HEAD",
		"OPTIONS /{ws}":               "GET, HEAD",
		"TRACE /":                     "GET, HEAD, POST",
		"PURGE /{ws}/my-detector":     "",
	} {
		method, path, _ := strings.Cut(line, " ")
		got := b.want(405, b.call(method, path, nil))
		if got.header.Get("Allow") != allow {
			t.Errorf("%s: Allow is %q, want %q", line, got.header.Get("Allow"), allow)
		}
	}
	b.want(200, b.call(get, "/{ws}/my-detector", nil))
	if got := b.want(200, b.call(http.MethodHead, "/{ws}/my-detector", nil)); len(got.body) > 0 {
		t.Error("HEAD has a body")
	}
}

// Two routers, one in the other: what the outer one found does not matter, and
// the request that it keeps stays as it was.
func TestMountedInAnotherRouter(t *testing.T) {
	b := one(t)
	b.Project(t, "My Detector")
	outer := chi.NewRouter()
	outer.Mount("/", New(b.server))
	found := httptest.NewRecorder()
	outer.ServeHTTP(found, httptest.NewRequest(get, "/"+b.Workspace.Slug+"/my-detector?api_key="+b.Secret, nil))
	if found.Code != 200 {
		t.Errorf("%d %s", found.Code, found.Body)
	}
	r := httptest.NewRequest(del, "/"+b.Workspace.Slug+"/a%2fb?api_key="+b.Secret, nil)
	w := httptest.NewRecorder()
	outer.ServeHTTP(w, r)
	if w.Code != 404 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if r.URL.Path != "/acme/a/b" {
		t.Errorf("the caller's request was changed: %s", r.URL.Path)
	}
}

// A fault of ours says nothing of itself, and the log says all.
func TestFaultsStayInTheLog(t *testing.T) {
	b := one(t)
	var log strings.Builder
	b.server.Log = slog.New(slog.NewTextHandler(&log, nil))
	h := New(b.server)
	b.DB.Close()
	for _, path := range []string{"/" + b.Workspace.Slug, "/" + b.Workspace.Slug + "/trash"} {
		r := httptest.NewRequest(get, path+"?api_key="+b.Secret, nil)
		r = r.WithContext(reqid.With(r.Context(), "req_told"))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 500 || strings.Contains(w.Body.String(), "sql") || strings.Contains(w.Body.String(), "database") || w.Header().Get("X-Request-Id") != "req_told" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if !strings.Contains(log.String(), "req_told") || strings.Contains(log.String(), b.Secret) {
		t.Errorf("the log: %s", log.String())
	}
	w := httptest.NewRecorder()
	s := &b.server
	s.answer(route{}, func(http.ResponseWriter, *http.Request) error { panic("oh") })(w, httptest.NewRequest(get, "/", nil))
	if w.Code != 500 || strings.Contains(w.Body.String(), "oh\"") {
		t.Errorf("a panic: %d %s", w.Code, w.Body)
	}
}

// A1: who, from where, under which request.
func TestAuditKnowsTheRequest(t *testing.T) {
	b := one(t)
	b.Project(t, "My Detector")
	got := b.want(200, b.call(del, "/{ws}/my-detector", nil))
	all := b.audit()
	e := all[len(all)-1]
	if e.Act != cullet.ActDelete || e.ActorID != b.By.ID || e.Means != cullet.ByKey || e.Address != "127.0.0.1" || e.Request != got.header.Get("X-Request-Id") {
		t.Errorf("the audit says %+v", e)
	}
}

// T7, P2: whatever asks for a permanent deletion is refused and kept, for every key.
func TestNoKeyPurges(t *testing.T) {
	each(t, func(b *bench) {
		b.Project(b.t, "My Detector")
		id := b.want(200, b.call(del, "/{ws}/my-detector", nil)).text("projectId")
		keys := []string{b.Secret, b.key(cullet.AllScopes()...), b.key()}
		lines := []string{"POST /{ws}/trash/empty", "POST /{ws}/trash/deleteImmediately", "DELETE /{ws}/trash", "DELETE /{ws}/trash/" + id,
			"DELETE /{ws}/trash/project/" + id, "DELETE /{ws}/trash/restore", "DELETE /{ws}/trash/empty"}
		before := len(b.audit())
		for _, key := range keys {
			for _, line := range lines {
				method, path, _ := strings.Cut(line, " ")
				if got := b.want(403, b.callAs(key, method, path, map[string]any{"type": "project", "id": id})); !got.isFlat() {
					b.t.Errorf("%s: %v is not flat", line, got)
				}
			}
		}
		all := b.audit()[before:]
		if len(all) != len(keys)*len(lines) {
			b.t.Errorf("%d of %d refusals are in the audit", len(all), len(keys)*len(lines))
		}
		for _, e := range all {
			if e.Act != cullet.ActPurgeRefused || e.Means != cullet.ByKey || e.ActorID == "" {
				b.t.Errorf("the audit says %+v", e)
			}
		}
		b.want(404, b.callAs(b.stranger.Secret, post, "/{ws}/trash/empty", nil))
		b.want(405, b.call(put, "/{ws}/trash/restore", nil))
		b.want(200, b.call(post, "/{ws}/trash/restore", map[string]any{"type": "project", "id": id}))
		b.Check(b.t)
	})
}

// A key does what its maker may do at this moment.
func TestKeyOfAViewer(t *testing.T) {
	b := one(t)
	ctx := context.Background()
	viewer, err := b.Access.AddPerson(ctx, b.Workspace.ID, "vic@example.com", "Vic", "a long password indeed", cullet.Viewer)
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := b.Access.Replace(ctx, b.Workspace.ID, viewer.ID, "vic's")
	if err != nil {
		t.Fatal(err)
	}
	b.Project(t, "My Detector")
	b.want(200, b.callAs(secret, get, "/{ws}/my-detector", nil))
	b.want(401, b.callAs(secret, del, "/{ws}/my-detector", nil))
	b.want(401, b.callAs(secret, post, "/{ws}/api-keys", []byte(nil)))
}

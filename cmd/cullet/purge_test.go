package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/api"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/workflow"
)

// doors is a server's handler over a workspace in whose Trash a project and a
// workflow lie.
type doors struct {
	*place
	*server
	url   string
	by    cullet.Actor
	items []cullet.TrashItem
}

func openDoors(t *testing.T) *doors {
	t.Helper()
	ctx := context.Background()
	d := &doors{place: newPlace(t, cullettest.NewDatabase(t, "sqlite"))}
	d.place.TrashRetention = cullet.DefaultRetention
	g := d.place.ground(t, false)
	t.Cleanup(g.close)
	var err error
	if d.server, err = newServer(ctx, d.place.settings, g, nil); err != nil {
		t.Fatal(err)
	}
	h, err := d.handler(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	d.url = s.URL
	if d.by, _, err = g.access.Key(ctx, d.opened.Secret); err != nil {
		t.Fatal(err)
	}
	p, err := d.catalog.CreateProject(ctx, d.by, dataset.NewProject{Name: "doomed", Type: "object-detection"})
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.shelf.Create(ctx, d.by, workflow.Draft{Name: "doomed flow", Config: "{}"})
	if err != nil {
		t.Fatal(err)
	}
	for _, move := range []func() (cullet.TrashItem, error){
		func() (cullet.TrashItem, error) { return d.bin.DeleteProject(ctx, d.by, p.ID) },
		func() (cullet.TrashItem, error) { return d.bin.DeleteWorkflow(ctx, d.by, f.ID) },
	} {
		item, err := move()
		if err != nil {
			t.Fatal(err)
		}
		d.items = append(d.items, item)
	}
	return d
}

// TestP2NoKeyCanPurge takes every route of the API's own table, and every one of
// the web app on which a person purges, and tries it with a key of every scope:
// nothing is gone, nothing is ordered, no retention is shorter.
func TestP2NoKeyCanPurge(t *testing.T) {
	d := openDoors(t)
	ctx := context.Background()
	// What a person would confirm: even with its token a key gets nothing.
	person := cullet.Actor{Workspace: d.by.Workspace, ID: d.opened.Owner.ID, Name: "Ann", Means: cullet.ByWeb, Role: cullet.Owner, Session: "elsewhere"}
	plan, err := d.desk.Prepare(ctx, person, d.opened.Workspace.Slug, purge.Choice{Items: []string{d.items[0].ID}})
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"token": {plan.Token}, "typed": {plan.Typed}, "password": {cullettest.Password}, "item": {d.items[0].ID}, "all": {"1"}}
	body := `{"type":"project","id":"` + d.items[0].Target + `","trainingId":"x","name":"n","retention":"1s","images":[],"projects":[]}`

	type target struct{ method, path, contentType, body string }
	var targets []target
	for _, r := range api.Routes() {
		targets = append(targets, target{r.Method, fill(r.Pattern, d), "application/json", body})
	}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		for _, path := range []string{"/acme/trash", "/acme/trash/empty", "/acme/trash/deleteImmediately", "/acme/trash/" + d.items[0].ID, "/-/v1/acme/trash/purge", "/-/v1/acme/purge",
			"/app/acme/settings/trash/purge", "/app/acme/settings/trash/purge?all=1", "/app/acme/settings/trash/purge?item=" + d.items[0].ID, "/app/acme/settings/trash/purges/x", "/app/acme/settings/trash/empty"} {
			targets = append(targets, target{method, path, "application/json", body}, target{method, path, "application/x-www-form-urlencoded", form.Encode()})
		}
	}
	if len(api.Routes()) < 40 {
		t.Fatalf("the table has %d routes: it is not the router's", len(api.Routes()))
	}
	keys := map[string]string{"full access": d.opened.Secret}
	for _, s := range cullet.AllScopes() {
		scopes := []cullet.Scope{s}
		_, secret, err := d.access.MakeKey(ctx, d.by, access.KeyChange{Scopes: &scopes})
		if err != nil {
			t.Fatal(err)
		}
		keys[string(s)] = secret
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for name, secret := range keys {
		for _, g := range targets {
			// A key that revokes keys would end the test's own; a new one is as good.
			if strings.Contains(g.path, "api-keys") && g.method != "GET" {
				continue
			}
			q := "?"
			if strings.Contains(g.path, "?") {
				q = "&"
			}
			r, err := http.NewRequest(g.method, d.url+g.path+q+"api_key="+secret, strings.NewReader(g.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", g.contentType)
			res, err := client.Do(r)
			if err != nil {
				t.Fatalf("%s %s: %v", g.method, g.path, err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if strings.Contains(g.path, "purge") && g.method != "GET" && res.StatusCode < 400 {
				t.Errorf("P2: %s %s with %s is answered %d", g.method, g.path, name, res.StatusCode)
			}
		}
		d.stillThere(t, name)
	}
	if n := d.refusals(t); n < len(keys) {
		t.Errorf("P2: %d refusals in the audit for %d keys", n, len(keys))
	}
	// The confirmation itself was good all the while: the person it is for can use it.
	if _, err := d.desk.Order(ctx, person, purge.Confirmation{Token: plan.Token, Typed: plan.Typed, Password: cullettest.Password}); err != nil {
		t.Errorf("the person whose confirmation it is: %v", err)
	}
}

// fill puts real names into a route's pattern.
func fill(pattern string, d *doors) string {
	for name, value := range map[string]string{"{ws}": "acme", "{project}": d.items[0].Target, "{workflow}": d.items[1].Target} {
		pattern = strings.ReplaceAll(pattern, name, value)
	}
	for strings.Contains(pattern, "{") {
		from, to := strings.Index(pattern, "{"), strings.Index(pattern, "}")
		pattern = pattern[:from] + "1" + pattern[to+1:]
	}
	return strings.ReplaceAll(pattern, "*", "x")
}

// stillThere fails the test where one of the items is neither in Trash, with its
// date, nor restored.
func (d *doors) stillThere(t *testing.T, key string) {
	t.Helper()
	ctx := context.Background()
	err := d.db.View(ctx, func(tx *store.Tx) error {
		for _, item := range d.items {
			now, err := tx.FindTarget(ctx, item.Workspace, item.Type, item.Target)
			if err == nil && (now.State != cullet.Trashed || now.EffectiveAt.Before(item.EffectiveAt)) {
				t.Errorf("P2: with a key of %s: %s is %s, due %s", key, item.Name, now.State, now.EffectiveAt)
			}
			if err == nil {
				continue
			}
			if _, perr := tx.GetProject(ctx, item.Target); perr == nil {
				continue
			}
			if _, werr := tx.GetWorkflowByID(ctx, item.Target); werr != nil {
				t.Errorf("P2: with a key of %s: %s is gone", key, item.Name)
			}
		}
		orders, err := tx.RunningOrders(ctx, d.by.Workspace)
		if len(orders) > 0 {
			t.Errorf("P2: with a key of %s: a permanent deletion was ordered", key)
		}
		if w, werr := tx.GetWorkspaceByID(ctx, d.by.Workspace); werr != nil || w.Retention != 0 {
			t.Errorf("P2: with a key of %s: the retention is %v, %v", key, w.Retention, werr)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// refusals counts what the audit kept of attempts to purge.
func (d *doors) refusals(t *testing.T) (n int) {
	t.Helper()
	ctx := context.Background()
	err := d.db.View(ctx, func(tx *store.Tx) error {
		for after := int64(0); ; {
			some, err := tx.ListAudit(ctx, d.by.Workspace, after, 500)
			if err != nil || len(some) == 0 {
				return err
			}
			for _, e := range some {
				if e.Act == cullet.ActPurgeRefused {
					n++
				}
			}
			after = some[len(some)-1].Seq
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

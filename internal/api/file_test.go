package api

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/training"
)

// follow follows a link as the SDK does, without a key.
func (b *bench) follow(method, link string, header map[string]string) result {
	b.t.Helper()
	r, err := http.NewRequest(method, link, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	return b.send(r)
}

// D3: a link that was handed out dies with what it leads to, and comes back with it.
func TestLinksDieWithTheirThing(t *testing.T) {
	each(t, func(b *bench) {
		b.Project(b.t, "My Detector")
		image := b.Image(b.t, "my-detector", 1)
		b.Version(b.t, "my-detector")
		b.Export(b.t, "my-detector", 1, "coco")
		i := b.call(get, "/{ws}/my-detector/images/"+image, nil)
		export := b.call(get, "/{ws}/my-detector/1/coco", nil).text("export.link")
		links := []string{i.text("image.urls.original"), i.text("image.urls.thumb"), export}
		all := func(want int) {
			b.t.Helper()
			for _, link := range links {
				if got := b.follow(get, link, nil); got.status != want {
					b.t.Errorf("%s: %d, want %d", link, got.status, want)
				}
			}
		}
		all(200)
		id := b.call(del, "/{ws}/my-detector", nil).text("projectId")
		all(404)
		b.want(200, b.call(post, "/{ws}/trash/restore", map[string]any{"type": "project", "id": id}))
		all(200)
		b.want(200, b.call(del, "/{ws}/my-detector/1", nil))
		if got := b.follow(get, export, nil); got.status != 404 {
			b.t.Errorf("the export of a deleted version: %v", got)
		}
		b.want(200, b.call(post, "/{ws}/trash/restore", map[string]any{"type": "version", "id": 1, "parentId": id}))
		all(200)
		b.Clock.Advance(49 * time.Hour)
		all(404)
	})
}

func TestLinkHeaders(t *testing.T) {
	b := one(t)
	b.Project(t, "My Detector")
	image := b.Image(t, "my-detector", 1)
	b.Version(t, "my-detector")
	b.Export(t, "my-detector", 1, "coco")
	i := b.call(get, "/{ws}/my-detector/images/"+image, nil)
	original := i.text("image.urls.original")
	if !strings.HasPrefix(original, b.http.URL+"/-/files/image/") {
		t.Errorf("not absolute: %s", original)
	}
	got := b.want(200, b.follow(get, original, nil))
	if !bytes.Equal(got.body, cullettest.PNG(1)) || got.header.Get("Content-Type") != "image/png" || got.header.Get("Content-Security-Policy") == "" {
		t.Errorf("%v", got.header)
	}
	if got.header.Get("Cache-Control") != "private, no-cache" { // kept, but asked for each time (D3)
		t.Errorf("Cache-Control: %s", got.header.Get("Cache-Control"))
	}
	b.want(304, b.followQuietly(original, map[string]string{"If-None-Match": got.header.Get("ETag")}))
	part := b.want(206, b.follow(get, original, map[string]string{"Range": "bytes=1-3"}))
	if string(part.body) != "PNG" {
		t.Errorf("a range: %q", part.body)
	}
	head := b.want(200, b.follow(http.MethodHead, original, nil))
	if head.header.Get("Content-Length") == "" || len(head.body) > 0 {
		t.Errorf("HEAD: %v", head.header)
	}
	if thumb := b.want(200, b.follow(get, i.text("image.urls.thumb"), nil)); thumb.header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("thumb: %v", thumb.header)
	}
	zip := b.want(200, b.follow(get, b.call(get, "/{ws}/my-detector/1/coco", nil).text("export.link"), nil))
	if zip.header.Get("Content-Type") != "application/zip" || !strings.HasPrefix(zip.header.Get("Content-Disposition"), "attachment") || zip.header.Get("Content-Length") == "" {
		t.Errorf("zip: %v", zip.header)
	}
}

// followQuietly is follow for answers that are no refusals although they say 3xx.
func (b *bench) followQuietly(link string, header map[string]string) result {
	r, _ := http.NewRequest(get, link, nil)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	answer.Body.Close()
	return result{status: answer.StatusCode, header: answer.Header}
}

func TestLinksThatWereTouched(t *testing.T) {
	b := one(t)
	b.Project(t, "My Detector")
	one, two := b.Image(t, "my-detector", 1), b.Image(t, "my-detector", 2)
	link := b.call(get, "/{ws}/my-detector/images/"+one, nil).text("image.urls.original")
	bare, _, _ := strings.Cut(link, "?")
	for _, bad := range []string{
		bare,
		strings.Replace(link, one, two, 1),
		strings.Replace(link, "/image/", "/thumb/", 1),
		strings.Replace(link, "/image/", "/export/", 1),
		strings.Replace(link, "expires=1", "expires=2", 1),
		strings.Replace(link, "signature=", "signature=A", 1),
		link[:len(link)-1],
		bare + "?api_key=" + b.Secret, // a key does not open a link
	} {
		if got := b.follow(get, bad, nil); got.status != 404 {
			t.Errorf("%s: %v", bad, got)
		}
	}
	b.want(405, b.follow(del, link, nil))
}

// Two servers on one database with one key: a link of the one is good at the other.
// With another key it is not.
func TestLinksOfTwoServers(t *testing.T) {
	b := one(t)
	b.Project(t, "My Detector")
	image := b.Image(t, "my-detector", 1)
	other := b.serve()
	link := b.call(get, "/{ws}/my-detector/images/"+image, nil).text("image.urls.original")
	b.want(200, b.follow(get, strings.Replace(link, b.http.URL, other.URL, 1), nil))
	b.server.LinkKey = nil
	b.want(404, b.follow(get, strings.Replace(link, b.http.URL, b.serve().URL, 1), nil))
	b.server.PublicURL = "https://cullet.example.com"
	b.http = b.serve()
	if got := b.call(get, "/{ws}/my-detector/images/"+image, nil).text("image.urls.thumb"); !strings.HasPrefix(got, "https://cullet.example.com/-/files/thumb/") {
		t.Error(got)
	}
}

// The errors of contract/10, one by one.
func TestErrorsOfTrash(t *testing.T) {
	each(t, func(b *bench) {
		type m = map[string]any
		b.Project(b.t, "My Detector")
		b.Image(b.t, "my-detector", 1)
		b.Version(b.t, "my-detector")
		b.Workflow(b.t, "Flow")
		id := b.call(get, "/{ws}/my-detector", nil).text("project.projectId")
		theirs, err := b.Catalog.Project(context.Background(), b.By, "my-detector")
		if err != nil {
			b.t.Fatal(err)
		}
		check := func(status int, got result, says ...string) {
			b.t.Helper()
			if got.status != status || !got.isFlat() {
				b.t.Errorf("%v, want %d, flat", got, status)
			}
			for _, s := range says {
				if not, word := strings.HasPrefix(s, "!"), strings.TrimPrefix(s, "!"); strings.Contains(got.message(), word) == not {
					b.t.Errorf("%v: %q", got, s)
				}
			}
		}
		restore := "/{ws}/trash/restore"
		reader := b.callAs
		key := b.key("project:read")
		check(401, reader(key, del, "/{ws}/my-detector", nil), "project:update")
		check(401, reader(key, del, "/{ws}/my-detector/1", nil), "version:update")
		check(401, reader(key, del, "/{ws}/workflows/flow", nil), "workflow:update")
		check(401, reader(key, post, restore, m{"type": "project", "id": id}))
		check(401, reader(b.key("workflow:update"), post, restore, m{"type": "project", "id": id}), "project:update")
		check(401, reader("nobody", get, "/{ws}/trash", nil))
		check(404, reader(b.stranger.Secret, get, "/{ws}/trash", nil))
		check(404, reader(b.stranger.Secret, post, "/strangers/trash/restore", m{"type": "project", "id": theirs.ID}), "not found in trash")

		check(404, b.call(del, "/{ws}/no-such-project", nil), "no-such-project")
		check(404, b.call(del, "/{ws}/my-detector/9", nil), "9")
		check(404, b.call(del, "/{ws}/workflows/no-such-flow", nil), "no-such-flow")
		check(404, b.call(post, restore, m{"type": "project", "id": id}), "not found in trash")
		check(404, b.call(post, restore, m{"type": "project", "id": "d_nobody"}), "not found in trash")
		check(404, b.call(post, restore, m{"type": "version", "id": "1", "parentId": id}), "not found in trash")
		check(404, b.call(post, restore, m{"type": "workflow", "id": "wf_nobody"}), "not found in trash")
		for _, body := range []m{{"type": "dataset", "id": "d_x"}, {"type": "folder", "id": "grp_x"}, {"type": "version", "id": "1"}, {"type": "version", "id": "one", "parentId": id},
			{"type": "project"}, {"type": "project", "id": ""}, {"id": "d_x"}, {"type": "version", "id": 1, "parentId": id, "newUrl": "x"}} {
			check(400, b.call(post, restore, body))
		}
		check(501, b.call(post, restore, m{"type": "images", "id": "x"}))

		b.want(200, b.call(del, "/{ws}/my-detector/1", nil))
		before := b.call(get, "/{ws}/trash", nil)
		check(404, b.call(del, "/{ws}/my-detector/1", nil)) // D8
		b.want(200, b.call(del, "/{ws}/my-detector", nil))
		check(404, b.call(del, "/{ws}/my-detector", nil))
		check(404, b.call(del, "/{ws}/"+id, nil))
		check(404, b.call(del, "/{ws}/my-detector/1", nil))
		check(409, b.call(post, restore, m{"type": "version", "id": 1, "parentId": id}), "my-detector", "in trash", "!not in trash")
		b.Project(b.t, "My Detector")
		check(409, b.call(post, restore, m{"type": "project", "id": id}), "my-detector", "my-detector-2")
		for _, slug := range []any{"..", "a/b", "a%2fb", strings.Repeat("x", 10_000), "trash", "123", " ", "my-detector"} {
			if got := b.call(post, restore, m{"type": "project", "id": id, "newUrl": slug}); got.status != 400 && got.status != 409 {
				b.t.Errorf("newUrl %.20q: %v", slug, got)
			}
		}
		check(400, b.call(post, restore, m{"type": "project", "id": id, "newUrl": 5}), "newUrl")
		check(400, b.call(post, restore, m{"type": "project", "id": id, "newUrl": []string{"a"}}), "newUrl")
		if len(before.get("items").([]any)) != 1 {
			b.t.Errorf("%v", before)
		}

		// R5: what is being purged. The purge itself is none of this package's business.
		if _, err := b.DB.Conn().Writer.Exec(`UPDATE trash_items SET state = 'purging' WHERE target_id = '` + id + `'`); err != nil {
			b.t.Fatal(err)
		}
		check(409, b.call(post, restore, m{"type": "project", "id": id, "newUrl": "free"}), "is being permanently deleted")
	})
}

// D3: what is in Trash is nowhere, by no id, whatever else is wrong with a request.
func TestHiddenAtOnce(t *testing.T) {
	each(t, func(b *bench) {
		b.Queue.Trainers = append(b.Queue.Trainers, training.Trainer{Name: "second", ModelTypes: []string{"second"}})
		b.Project(b.t, "My Detector")
		image := b.Image(b.t, "my-detector", 1)
		b.Version(b.t, "my-detector")
		id := b.call(del, "/{ws}/my-detector", nil).text("projectId")
		for _, name := range []string{"my-detector", id} {
			for _, path := range []string{"", "/1", "/1/coco", "/images/" + image, "/1/v2/trainings", "/1/v2/trainings/get", "/1/training/results"} {
				b.want(404, b.call(get, "/{ws}/"+name+path, nil))
			}
			for _, path := range []string{"/search", "/generate", "/1/v2/trainings", "/1/v2/trainings/cancel", "/1/train"} {
				b.want(404, b.call(post, "/{ws}/"+name+path, map[string]any{"preprocessing": map[string]any{}, "augmentation": map[string]any{}}))
			}
			b.want(404, b.image(name, "", field{"file", string(cullettest.PNG(1))}))
			b.want(404, b.call(post, "/dataset/"+name+"/annotate/"+image+"?name=a.json", map[string]any{"annotationFile": coco("a")}))
		}
		if got := string(b.call(get, "/{ws}", nil).body) + string(b.call(get, "/{ws}/groups", nil).body); strings.Contains(got, "my-detector") {
			b.t.Error(got)
		}
	})
}

func TestSearch(t *testing.T) {
	each(t, func(b *bench) {
		type m = map[string]any
		b.Project(b.t, "My Detector")
		for n := range 5 {
			b.Image(b.t, "my-detector", n)
		}
		needle := b.want(200, b.image("my-detector", "tag=red&batch=Monday", field{"name", "Needle in hay.png"}, field{"file", string(cullettest.PNG(90))})).text("id")
		b.Annotate(b.t, "my-detector", needle, "jar")
		hits := func(body m) string {
			b.t.Helper()
			got := b.want(200, b.call(post, "/{ws}/my-detector/search", body))
			ids := []string{}
			for _, h := range got.get("results").([]any) {
				ids = append(ids, h.(m)["name"].(string))
			}
			return strings.Join(ids, ",")
		}
		for _, c := range []struct {
			body m
			want string
		}{
			{m{"prompt": "needle"}, "Needle in hay.png"},
			{m{"prompt": "100%"}, ""},
			{m{"tag": "red"}, "Needle in hay.png"},
			{m{"tag": "re"}, ""},
			{m{"class_name": "jar"}, "Needle in hay.png"},
			{m{"class_name": "bottle"}, ""},
			{m{"limit": 2}, "0.png,1.png"},
			{m{"limit": 2, "offset": 2}, "2.png,3.png"},
			{m{"limit": 2, "offset": 4}, "4.png,Needle in hay.png"},
			{m{"offset": 6}, ""},
			{m{"in_dataset": true, "prompt": "needle"}, "Needle in hay.png"},
			{m{"in_dataset": "true", "prompt": "needle"}, "Needle in hay.png"},
			{m{"in_dataset": false}, ""},
			{m{"mediaTypes": []string{"video"}}, ""},
			{m{"mediaTypes": []string{"image", "video"}, "limit": 1}, "0.png"},
			{m{"batch": false, "annotation_job": nil, "unknown": 5, "limit": 1}, "0.png"},
			{m{"batch_id": "bt_nobody"}, ""},
		} {
			if got := hits(c.body); got != c.want {
				b.t.Errorf("%v: %s, want %s", c.body, got, c.want)
			}
		}
		got := b.call(post, "/{ws}/my-detector/search", m{"fields": []string{"id"}, "limit": 1})
		if toJSON(got.get("results.0")) != `{"id":"`+got.text("results.0.id")+`","mediaType":"image"}` || got.text("total") != "6" {
			b.t.Errorf("fields: %v", got)
		}
	})
}

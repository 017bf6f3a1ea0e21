package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/job"
	"github.com/cullet-vision/cullet/internal/store"
)

// Bad input: a 4xx that says what is wrong, and nothing is left behind.
func TestJSONThatIsWrong(t *testing.T) {
	each(t, func(b *bench) {
		b.Project(b.t, "My Detector")
		image := b.Image(b.t, "my-detector", 1)
		before := b.left()
		type m = map[string]any
		long := strings.Repeat("x", 10_000)
		for _, c := range []struct {
			path   string
			body   any
			status int
			says   string
		}{
			{"/{ws}/projects", m{"name": 5, "type": "object-detection"}, 400, "name"},
			{"/{ws}/projects", m{"name": []string{"a"}, "type": "object-detection"}, 400, "name"},
			{"/{ws}/projects", m{"name": nil, "type": "object-detection"}, 400, "name"},
			{"/{ws}/projects", m{"name": long, "type": "object-detection"}, 400, "name"},
			{"/{ws}/projects", m{"name": "a\x00b", "type": "object-detection"}, 400, "NUL"},
			{"/{ws}/projects", m{"name": "trash", "type": "object-detection"}, 400, "reserved"},
			{"/{ws}/projects", m{"name": "autolabel", "type": "object-detection"}, 400, "reserved"},
			{"/{ws}/projects", m{"name": "123", "type": "object-detection"}, 400, "digits"},
			{"/{ws}/projects", m{"name": "Fine", "type": "action-recognition"}, 400, "object-detection"},
			{"/{ws}/projects", m{"name": "Fine", "type": m{}}, 400, "type"},
			{"/{ws}/projects", []string{}, 400, "object"},
			{"/{ws}/projects", "text", 400, "object"},
			{"/{ws}/projects", []byte("null"), 400, "object"},
			{"/{ws}/projects", []byte("{"), 400, "JSON"},
			{"/{ws}/projects", []byte(""), 400, "empty"},
			{"/{ws}/projects", []byte("\x00\xff\xfe"), 400, "UTF-8"},
			{"/{ws}/projects", []byte(`{"name":"a"}{"name":"b"}`), 400, "JSON"},
			{"/{ws}/projects", bytes.Repeat([]byte(`{"a":`), 20_000), 400, "JSON"},
			{"/{ws}/projects", m{"name": strings.Repeat("x", 3<<20)}, 413, "larger"},
			{"/{ws}/my-detector/generate", m{"preprocessing": []int{}}, 400, "preprocessing"},
			{"/{ws}/my-detector/generate", m{"augmentation": "none"}, 400, "augmentation"},
			{"/{ws}/my-detector/generate", m{"preprocessing": m{"resize": m{}}}, 501, "resize"},
			{"/{ws}/my-detector/generate", []int{1}, 400, "object"},
			{"/{ws}/my-detector/generate", []byte("null"), 400, "object"},
			{"/{ws}/nothing/generate", m{}, 404, "nothing"},
			{"/{ws}/my-detector/search", m{"fields": "id"}, 400, "fields"},
			{"/{ws}/my-detector/search", m{"fields": []int{1}}, 400, "fields"},
			{"/{ws}/my-detector/search", m{"limit": "many"}, 400, "limit"},
			{"/{ws}/my-detector/search", m{"limit": -1}, 400, "limit"},
			{"/{ws}/my-detector/search", m{"limit": 1.5}, 400, "limit"},
			{"/{ws}/my-detector/search", m{"offset": -1}, 400, "offset"},
			{"/{ws}/my-detector/search", m{"in_dataset": 5}, 400, "in_dataset"},
			{"/{ws}/my-detector/search", m{"like_image": "a.jpg"}, 501, "like_image"},
			{"/{ws}/my-detector/search", m{"batch": true}, 501, "batch"},
			{"/{ws}/my-detector/search", m{"annotation_job_id": "j"}, 501, "annotation_job_id"},
			{"/{ws}/nothing/search", m{}, 404, "nothing"},
			{"/{ws}/groups", m{"name": 5}, 400, "name"},
			{"/{ws}/groups", m{"name": ""}, 400, "name"},
			{"/{ws}/groups", m{"name": "F", "projects": "all"}, 400, "projects"},
			{"/{ws}/groups", m{"name": "F", "projects": []string{"no-such"}}, 404, "no-such"},
			{"/{ws}/groups", m{"name": "F", "parent_id": "grp_x"}, 404, "grp_x"},
			{"/{ws}/groups/grp_x", m{"name": "F"}, 404, "grp_x"},
			{"/{ws}/trash/restore", m{"type": 1, "id": "d_x"}, 400, "type"},
			{"/{ws}/trash/restore", m{"type": "project", "id": []string{"d_x"}}, 400, "id"},
			{"/{ws}/trash/restore", m{"type": "project", "id": m{"a": 1}}, 400, "id"},
			{"/{ws}/trash/restore", m{"type": "project", "id": true}, 400, "id"},
			{"/{ws}/trash/restore", m{"type": "project", "id": long}, 400, "id"},
			{"/{ws}/trash/restore", m{"type": "project", "id": "a\x00"}, 400, "NUL"},
			{"/{ws}/trash/restore", []m{{"type": "project", "id": "d_x"}}, 400, "object"},
			{"/{ws}/updateWorkflow", m{"id": 1, "name": "n", "url": "u", "config": "{}"}, 400, "id"},
			{"/{ws}/updateWorkflow", m{"id": "wf_x", "name": "n", "url": "u", "config": m{}}, 400, "config"},
			{"/{ws}/updateWorkflow", m{"id": "wf_x", "name": "n", "url": "u"}, 400, "config"},
			{"/{ws}/updateWorkflow", m{"id": "wf_x", "name": "n", "url": "u", "config": "{}"}, 404, "wf_x"},
			{"/{ws}/api-keys", m{"name": 5}, 400, "name"},
			{"/{ws}/api-keys", m{"scopes": "all"}, 400, "scopes"},
			{"/{ws}/api-keys", m{"scopes": []int{5}}, 400, "scopes"},
			{"/{ws}/api-keys", m{"scopes": []string{"no-such:scope"}}, 400, "no-such:scope"},
			{"/{ws}/my-detector/1/v2/trainings", m{}, 404, "version 1"},
			{"/{ws}/my-detector/1/v2/trainings/cancel", m{"trainingId": 5}, 400, "trainingId"},
			{"/dataset/my-detector/annotate/" + image + "?name=a.coco.json", m{"annotationFile": 5}, 400, "annotationFile"},
			{"/dataset/my-detector/annotate/" + image + "?name=a.coco.json", m{"annotationFile": "{not json"}, 400, "JSON"},
			{"/dataset/my-detector/annotate/" + image + "?name=a.coco.json", m{"annotationFile": `{"images":1,"annotations":2}`}, 400, "images"},
			{"/dataset/my-detector/annotate/" + image + "?name=a.txt", m{"annotationFile": "0 0.5 0.5 0.1 0.1"}, 400, "labelmap"},
			{"/dataset/my-detector/annotate/" + image + "?name=a.txt", m{"annotationFile": "0 0.5 0.5 0.1 0.1", "labelmap": []string{"x"}}, 400, "labelmap"},
			{"/dataset/my-detector/annotate/" + image + "?name=a.txt", m{"annotationFile": "0 0.5 0.5 0.1 0.1", "labelmap": m{"0": 5}}, 400, "labelmap"},
			{"/dataset/my-detector/annotate/" + image, m{"annotationFile": "0 0.5 0.5 0.1 0.1", "labelmap": m{"0": "x"}}, 400, "name"},
			{"/dataset/my-detector/annotate/" + image + "?name=a.txt&overwrite=maybe", m{"annotationFile": ""}, 400, "overwrite"},
			{"/dataset/my-detector/annotate/" + image + "?name=a.txt&addToDataset=false", m{"annotationFile": ""}, 501, "addToDataset"},
			{"/dataset/my-detector/annotate/img_nobody?name=a.txt", m{"annotationFile": "", "labelmap": m{}}, 404, "img_nobody"},
			{"/dataset/nothing/annotate/" + image + "?name=a.txt", m{"annotationFile": ""}, 404, "nothing"},
		} {
			got := b.call(post, c.path, c.body)
			if got.status != c.status || !strings.Contains(got.message(), c.says) {
				b.t.Errorf("POST %s %.60v: %v, want %d with %q", c.path, c.body, got, c.status, c.says)
			}
		}
		if after := b.left(); after != before {
			b.t.Errorf("something was left: %s, before %s", after, before)
		}
		b.Check(b.t)
	})
}

func TestWorkflowSlugs(t *testing.T) {
	b := one(t)
	before := b.left()
	for _, slug := range []string{"..", "../x", "a/b", "a%2fb", strings.Repeat("x", 10_000), "versions?", "a b", "UPPER", "trash", "a\x00b"} {
		got := b.call(post, "/{ws}/createWorkflow?name=Flow&template=%7B%7D&config=%7B%7D&url="+escape(slug), nil)
		if got.status != 400 {
			t.Errorf("url %.20q: %v", slug, got)
		}
	}
	b.want(400, b.call(post, "/{ws}/createWorkflow", nil))
	if after := b.left(); after != before {
		t.Errorf("something was left: %s, before %s", after, before)
	}
	b.want(200, b.call(post, "/{ws}/createWorkflow?name=Flow&config=%7B%7D", nil))
	if got := b.want(409, b.call(post, "/{ws}/createWorkflow?name=Flow&config=%7B%7D", nil)); !strings.Contains(got.message(), "flow-2") {
		t.Errorf("no free slug is proposed: %v", got)
	}
	b.want(200, b.call(post, "/{ws}/createWorkflow?name="+escape("Бутылки"), nil))
	b.want(501, b.call(post, "/{ws}/forkWorkflow", map[string]any{"source_workspace": "x"}))
}

// A definition travels in the query, one of a mebibyte and more of escapes too, and
// is kept to the letter.
func TestWorkflowOfAMebibyteInTheQuery(t *testing.T) {
	each(t, func(b *bench) {
		for n, config := range []string{strings.Repeat(`{"ü": "\u0000;&%" }`+"\n", 60_000)[:cullet.MaxWorkflowConfig-1], "not JSON; at all %zz", ""} {
			name := fmt.Sprintf("letter %d", n)
			config = strings.ToValidUTF8(config, "")
			b.want(200, b.call(post, "/{ws}/createWorkflow?name="+escape(name)+"&url=&template=%7B%7D&config="+escape(config), nil))
			got := b.want(200, b.call(get, fmt.Sprintf("/{ws}/workflows/letter-%d", n), nil))
			if got.get("workflow.config") != config {
				b.t.Errorf("%s is not to the letter", name)
			}
			b.want(200, b.call(post, "/{ws}/updateWorkflow", map[string]any{"id": got.text("workflow.id"), "name": name, "url": "", "config": config}))
			if got := b.call(get, fmt.Sprintf("/{ws}/workflows/letter-%d", n), nil); got.get("workflow.config") != config {
				b.t.Errorf("%s is not to the letter after an update", name)
			}
		}
		b.want(413, b.call(post, "/{ws}/createWorkflow?name=large&config="+strings.Repeat("x", cullet.MaxWorkflowConfig+1), nil))
	})
}

// The SDK writes the name of an annotation into the query as it is.
func TestOddNamesInTheQuery(t *testing.T) {
	b := one(t)
	b.Project(t, "My Detector")
	image := b.Image(t, "my-detector", 1)
	b.want(200, b.call(post, "/dataset/my-detector/annotate/"+image+"?name=50%;a+b.coco.json&jobName=x;y", map[string]any{"annotationFile": coco("a")}))
}

// The parts of a form come in any order; the SDK itself sends metadata last.
func TestFormInAnyOrder(t *testing.T) {
	each(t, func(b *bench) {
		b.Project(b.t, "My Detector")
		file := func(n int) field { return field{"file", string(cullettest.PNG(n))} }
		name, split, meta := field{"name", "told.png"}, field{"split", "test"}, field{"metadata", `{"n":3}`}
		for n, order := range [][]field{{name, split, file(0), meta}, {meta, split, name, file(1)}, {file(2), name, meta, split}, {field{"other", "x"}, name, file(3), split, meta}} {
			got := b.want(200, b.image("my-detector", "batch=Monday&tag=a&tag=b&sequence_number=1", order...))
			if got.get("success") != true {
				b.t.Errorf("order %d: %v", n, got)
			}
			i := b.call(get, "/{ws}/my-detector/images/"+got.text("id"), nil)
			if i.text("image.name") != "told.png" || i.text("image.split") != "test" || toJSON(i.get("image.metadata")) != `{"n":3}` || toJSON(i.get("image.tags")) != `["a","b"]` {
				b.t.Errorf("order %d: %v", n, i)
			}
		}
		again := b.want(200, b.image("my-detector", "tag=later", file(0), name))
		if again.get("duplicate") != true || again.get("success") != nil {
			b.t.Errorf("the same bytes again: %v", again)
		}
		if i := b.call(get, "/{ws}/my-detector/images/"+again.text("id"), nil); toJSON(i.get("image.tags")) != `["a","b","later"]` {
			b.t.Errorf("tags of the twin: %v", i)
		}
		plain := b.want(200, b.image("my-detector", "", file(9)))
		if i := b.call(get, "/{ws}/my-detector/images/"+plain.text("id"), nil); i.text("image.name") != "from-the-part.png" || i.text("image.split") != "train" {
			b.t.Errorf("without fields: %v", i)
		}
		b.Check(b.t)
	})
}

func TestUploadsThatAreWrong(t *testing.T) {
	each(t, func(b *bench) {
		b.Project(b.t, "My Detector")
		b.Project(b.t, "Gone")
		b.want(200, b.image("gone", "", field{"file", string(cullettest.PNG(7))}))
		b.want(200, b.call(del, "/{ws}/gone", nil))
		before := b.left()
		png := string(cullettest.PNG(7))
		noise := make([]byte, 100_001)
		for n := range noise {
			noise[n] = byte(rand.Uint32())
		}
		for _, c := range []struct {
			project, query string
			fields         []field
			status         int
		}{
			{"my-detector", "", []field{{"name", "a.png"}}, 400},
			{"my-detector", "", []field{{"file", ""}}, 400},
			{"my-detector", "", []field{{"file", "this is a text"}}, 400},
			{"my-detector", "", []field{{"file", "<!doctype html><script>alert(1)</script>"}}, 400},
			{"my-detector", "", []field{{"file", png[:len(png)/2]}}, 400},
			{"my-detector", "", []field{{"file", string(noise)}}, 413},
			{"my-detector", "", []field{{"file", png}, {"file", png}}, 400},
			{"my-detector", "", []field{{"split", "holiday"}, {"file", png}}, 400},
			{"my-detector", "", []field{{"file", png}, {"split", "holiday"}}, 400},
			{"my-detector", "", []field{{"file", png}, {"metadata", "{not json"}}, 400},
			{"my-detector", "", []field{{"file", png}, {"metadata", "[1]"}}, 400},
			{"my-detector", "", []field{{"file", png}, {"metadata", `{"a":[1]}`}}, 400},
			{"my-detector", "", []field{{"name", strings.Repeat("x", 10_000)}, {"file", png}}, 400},
			{"my-detector", "", []field{{"file", png}, {"name", strings.Repeat("x", 100_000)}}, 413},
			{"my-detector", "", []field{{"name", "a\x00b"}, {"file", png}}, 400},
			{"my-detector", "tag=" + strings.Repeat("x", 10_000), []field{{"file", png}}, 400},
			{"my-detector", "batch=" + strings.Repeat("x", 10_000), []field{{"file", png}}, 400},
			{"my-detector", "image=https%3A%2F%2Fexample.com%2Fa.png&name=a", []field{}, 501},
			{"nothing", "", []field{{"file", png}}, 404},
			{"gone", "", []field{{"file", png}}, 404}, // D3: and never a duplicate of what is in Trash
			{"trash", "", []field{{"file", png}}, 404},
		} {
			if got := b.image(c.project, c.query, c.fields...); got.status != c.status || got.isFlat() {
				b.t.Errorf("%s?%.20s %.60q: %v, want %d in an envelope", c.project, c.query, c.fields, got, c.status)
			}
		}
		many := []field{}
		for n := range 60 {
			many = append(many, field{fmt.Sprint(n), "x"})
		}
		b.want(400, b.image("my-detector", "", append(many, field{"file", png})...))
		b.want(400, b.call(post, "/dataset/my-detector/upload", nil))
		b.want(501, b.call(post, "/dataset/my-detector/upload?name=a.png", []byte("aGVsbG8=")))
		if after := b.left(); after != before {
			b.t.Errorf("something was left: %s, before %s", after, before)
		}
		b.Check(b.t)
	})
}

// pipe sends a request whose body is written by hand, over a connection of its own.
func (b *bench) pipe(head string) net.Conn {
	b.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(b.http.URL, "http://"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n")
	return c
}

// answerOf reads the first line of what came back.
func answerOf(c net.Conn) string {
	var b [64]byte
	n, _ := io.ReadAtLeast(c, b[:], 12)
	return string(b[:n])
}

const formHead = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n"

func TestBodyThatNeverEnds(t *testing.T) {
	b := one(t)
	b.Project(t, "My Detector")
	image := b.Image(t, "my-detector", 1)
	before := b.left()
	key := "?api_key=" + b.Secret
	for _, c := range []struct{ path, typ, first string }{
		{"/dataset/my-detector/upload" + key, "multipart/form-data; boundary=x", formHead},
		{"/dataset/my-detector/upload" + key, "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n"},
		{"/dataset/my-detector/upload" + key, "multipart/form-data; boundary=x", "--x\r\nX-Header: "},
		{"/dataset/my-detector/annotate/" + image + key + "&name=a.json", "application/json", `{"annotationFile":"`},
		{"/acme/projects" + key, "application/json", `{"name":"`},
		{"/acme/trash/restore" + key, "application/json", `{"type":"`},
		{"/acme/trash/restore", "application/json", `{"type":"`},
		{"/acme/nothing/at/all/here" + key, "application/json", `{"type":"`},
	} {
		conn := b.pipe("POST " + c.path + " HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\nContent-Type: " + c.typ)
		first := make(chan string, 1)
		go func() { first <- answerOf(conn) }() // like a client that reads while it writes
		chunk := []byte(fmt.Sprintf("%x\r\n%s\r\n", len(c.first), c.first))
		sent := 0
		for sent < 64<<20 {
			if _, err := conn.Write(chunk); err != nil {
				break
			}
			sent += len(chunk)
			chunk = []byte(fmt.Sprintf("%x\r\n%s\r\n", 60_000, strings.Repeat("a", 60_000)))
		}
		if got := <-first; sent >= 64<<20 || !strings.HasPrefix(got, "HTTP/1.1 4") {
			t.Errorf("%s: took %d bytes and said %q", c.path, sent, got)
		}
	}
	if after := b.left(); after != before {
		t.Errorf("something was left: %s, before %s", after, before)
	}
}

func TestBodyThatStops(t *testing.T) {
	b := one(t)
	b.Project(t, "My Detector")
	before := b.left()
	key := "?api_key=" + b.Secret
	for _, c := range []struct{ path, typ, first string }{
		{"/dataset/my-detector/upload" + key, "multipart/form-data; boundary=x", formHead + string(cullettest.PNG(3)[:40])},
		{"/acme/projects" + key, "application/json", `{"name":`},
	} {
		conn := b.pipe("POST " + c.path + " HTTP/1.1\nHost: h\nContent-Length: 5000\nContent-Type: " + c.typ)
		_, _ = io.WriteString(conn, c.first)
		if got := answerOf(conn); !strings.HasPrefix(got, "HTTP/1.1 400") {
			t.Errorf("%s: %q", c.path, got)
		}
		cut := b.pipe("POST " + c.path + " HTTP/1.1\nHost: h\nContent-Length: 5000\nContent-Type: " + c.typ)
		_, _ = io.WriteString(cut, c.first)
		cut.Close()
	}
	for n := 0; b.left() != before && n < 100; n++ {
		time.Sleep(20 * time.Millisecond)
	}
	if after := b.left(); after != before {
		t.Errorf("something was left: %s, before %s", after, before)
	}
}

// A length that is too large is refused before the body is sent.
func TestLengthThatIsTooLarge(t *testing.T) {
	b := one(t)
	b.Project(t, "My Detector")
	conn := b.pipe("POST /dataset/my-detector/upload?api_key=" + b.Secret + " HTTP/1.1\nHost: h\nContent-Length: 1000000000000\nExpect: 100-continue\nContent-Type: multipart/form-data; boundary=x")
	if got := answerOf(conn); !strings.HasPrefix(got, "HTTP/1.1 413") {
		t.Errorf("%q", got)
	}
}

// After a refused upload the connection is used again, or closed, and never left
// with half a body in it. The SDK keeps one for each thread.
func TestConnectionAfterARefusedUpload(t *testing.T) {
	b := one(t)
	b.Project(t, "My Detector")
	client := &http.Client{}
	send := func(path string, size int) (int, error) {
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		w, _ := m.CreateFormFile("file", "a.png")
		_, _ = w.Write(bytes.Repeat([]byte("x"), size))
		_ = m.Close()
		answer, err := client.Post(b.http.URL+path, m.FormDataContentType(), &body)
		if err != nil {
			return 0, err
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		return answer.StatusCode, nil
	}
	for range 3 {
		for path, want := range map[string]int{"/dataset/nothing/upload?api_key=" + b.Secret: 404, "/dataset/my-detector/upload?api_key=wrong": 401,
			"/dataset/my-detector/upload?api_key=" + b.Secret: 413} {
			if got, err := send(path, 1_000_000); err != nil || got != want {
				t.Errorf("%s: %d, %v, want %d", path, got, err, want)
			}
		}
	}
}

// Version generation that failed or was stopped is 409 on V1: images: 0 would have
// the SDK wait for ever.
func TestVersionThatWillNeverBeReady(t *testing.T) {
	each(t, func(b *bench) {
		b.Project(b.t, "My Detector")
		got := b.call(post, "/{ws}/my-detector/generate", map[string]any{"preprocessing": map[string]any{}, "augmentation": map[string]any{}})
		if got.status != 400 || !strings.Contains(got.message(), "no images") {
			b.t.Errorf("an empty project: %v", got)
		}
		b.Image(b.t, "my-detector", 1)
		b.want(200, b.call(post, "/{ws}/my-detector/generate", map[string]any{}))
		b.want(200, b.call(del, "/{ws}/my-detector/1", nil)) // stops it (D4)
		id := b.call(get, "/{ws}/my-detector", nil).text("project.projectId")
		b.want(200, b.call(post, "/{ws}/trash/restore", map[string]any{"type": "version", "id": 1, "parentId": id}))
		b.want(409, b.call(get, "/{ws}/my-detector/1", nil))
		b.want(409, b.call(get, "/{ws}/my-detector/1/coco", nil))
		b.want(409, b.call(post, "/{ws}/my-detector/1/v2/trainings", map[string]any{"modelType": "test-model"}))
		b.want(200, b.call(post, "/-/v1/{ws}/projects/my-detector/versions/1/resume", nil))
		b.want(409, b.call(post, "/-/v1/{ws}/projects/my-detector/versions/1/resume", nil))
		b.finish("my-detector", 1)
		if got := b.want(200, b.call(get, "/{ws}/my-detector/1", nil)); got.text("version.images") != "1" {
			b.t.Errorf("resumed: %v", got)
		}
		b.want(200, b.call(post, "/{ws}/my-detector/generate", map[string]any{}))
		d, _ := b.Press.Version(context.Background(), b.By, "my-detector", 2)
		err := b.DB.Update(context.Background(), func(tx *store.Tx) error {
			return tx.SetVersionState(context.Background(), d.ID, cullet.Generating, cullet.Failed, "the disk is full")
		})
		if err != nil {
			b.t.Fatal(err)
		}
		if got := b.want(409, b.call(get, "/{ws}/my-detector/2", nil)); !strings.Contains(got.message(), "the disk is full") {
			b.t.Errorf("failed: %v", got)
		}
		b.want(404, b.call(get, "/{ws}/my-detector/77", nil))
		b.want(400, b.call(get, "/{ws}/my-detector/1/no-such-format", nil))
		b.want(501, b.call(get, "/{ws}/my-detector/1/video-coco", nil))
	})
}

// An export that failed is told of once, and begun again: a client that polls would
// never learn of it.
func TestExportThatFailed(t *testing.T) {
	b := one(t)
	b.Project(t, "My Detector")
	b.Image(t, "my-detector", 1)
	b.Version(t, "my-detector")
	b.want(202, b.call(get, "/{ws}/my-detector/1/coco", nil))
	b.setExports(cullet.ExportRunning, cullet.ExportFailed, "a file is missing")
	if got := b.want(503, b.call(get, "/{ws}/my-detector/1/coco", nil)); !strings.Contains(got.message(), "a file is missing") {
		t.Errorf("%v", got)
	}
	b.want(202, b.call(get, "/{ws}/my-detector/1/coco", nil))
}

func (b *bench) setExports(from, to cullet.ExportState, problem string) {
	b.t.Helper()
	_, err := b.DB.Conn().Writer.Exec(`UPDATE exports SET state = '` + string(to) + `', problem = '` + problem + `' WHERE state = '` + string(from) + `'`)
	if err != nil {
		b.t.Fatal(err)
	}
}

// With real jobs: what the SDK's loops wait for comes by itself.
func TestGenerateAndExportByJobs(t *testing.T) {
	each(t, func(b *bench) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		engine, err := job.New(ctx, b.DB, 2, b.Press.Log)
		if err != nil {
			b.t.Fatal(err)
		}
		b.Press.Jobs = engine
		engine.Handle(job.Generate, b.Press.Freeze)
		engine.Handle(job.Export, b.Press.Write)
		if err := engine.Start(ctx); err != nil {
			b.t.Fatal(err)
		}
		defer func() {
			if err := engine.Stop(context.Background()); err != nil && !errors.Is(err, context.Canceled) {
				b.t.Error(err)
			}
		}()
		b.Project(b.t, "My Detector")
		b.Image(b.t, "my-detector", 1)
		b.want(200, b.call(post, "/{ws}/my-detector/generate", map[string]any{"preprocessing": map[string]any{}, "augmentation": map[string]any{}}))
		b.until(func() bool { return b.call(get, "/{ws}/my-detector/1", nil).get("version.generating") == false })
		var got result
		b.until(func() bool { got = b.call(get, "/{ws}/my-detector/1/yolov5pytorch", nil); return got.status == 200 })
		zip := b.follow(get, got.text("export.link"), nil)
		if zip.status != 200 || !bytes.HasPrefix(zip.body, []byte("PK")) || zip.header.Get("Content-Length") != fmt.Sprint(len(zip.body)) {
			b.t.Errorf("%d %v", zip.status, zip.header)
		}
	})
}

func (b *bench) until(done func() bool) {
	b.t.Helper()
	for range 500 {
		if done() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.t.Fatal("it did not come about within 10 seconds")
}

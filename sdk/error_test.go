package sdk_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cullet-vision/cullet/sdk"
)

var kinds = map[string]error{
	"ErrInvalid": sdk.ErrInvalid, "ErrUnauthorized": sdk.ErrUnauthorized, "ErrForbidden": sdk.ErrForbidden, "ErrNotFound": sdk.ErrNotFound,
	"ErrNotInTrash": sdk.ErrNotInTrash, "ErrConflict": sdk.ErrConflict, "ErrSlugTaken": sdk.ErrSlugTaken, "ErrParentInTrash": sdk.ErrParentInTrash,
	"ErrBeingRemoved": sdk.ErrBeingRemoved, "ErrNotImplemented": sdk.ErrNotImplemented, "ErrBadAnswer": sdk.ErrBadAnswer, "ErrAnswerTooLong": sdk.ErrAnswerTooLong,
}

// exactly fails unless an error is of these kinds, and of no other.
func exactly(t *testing.T, what string, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want %v", what, want)
		return
	}
	for name, kind := range kinds {
		wanted := false
		for _, w := range want {
			wanted = wanted || w == name
		}
		if got := errors.Is(err, kind); got != wanted {
			t.Errorf("%s: errors.Is(%v, %s) is %v", what, err, name, got)
		}
	}
}

func TestKindsByStatus(t *testing.T) {
	t.Parallel()
	for status, want := range map[int][]string{
		201: {"ErrBadAnswer"}, 204: {"ErrBadAnswer"}, 304: {"ErrBadAnswer"},
		400: {"ErrInvalid"}, 401: {"ErrUnauthorized"}, 403: {"ErrForbidden"}, 404: {"ErrNotFound"}, 409: {"ErrConflict"}, 501: {"ErrNotImplemented"},
		405: nil, 413: nil, 429: nil, 500: nil, 503: nil, 599: nil,
	} {
		f := newFake(t, answers{"GET /acme/trash": {status, ""}})
		_, err := f.workspace(t).Trash(t.Context())
		exactly(t, fmt.Sprint(status), err, want...)
		exactly(t, fmt.Sprintf("an Error of %d made by hand", status), &sdk.Error{Status: status}, want...)
		var e *sdk.Error
		if !errors.As(err, &e) || e.Status != status || e.RequestID != "req_7" {
			t.Errorf("%d: got %#v", status, err)
		}
	}
}

func TestBothEnvelopes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ body, message, hint string }{
		{`{"error":"there is no project \"x\""}`, `there is no project "x"`, ""},
		{`{"error":{"message":"no such endpoint","type":"GraphMethodException","hint":"GET /"}}`, "no such endpoint", "GET /"},
		{`{"error":{"hint":"GET /"}}`, "GET /", ""},
		{`{"error":"model_eval_not_found","message":"there is none"}`, "there is none", ""},
		{`{"message":"there is none"}`, "there is none", ""},
		{`there is none`, "there is none", ""},
		{"two\r\nlines\x1b[31m", "two  lines [31m", ""},
		{`{"error":null}`, "Not Found", ""},
		{`{"error":["a"]}`, "Not Found", ""},
		{`{"error":"cut of`, "Not Found", ""},
		{`<html>nginx</html>`, "Not Found", ""},
		{`"text"`, `"text"`, ""},
		{``, "Not Found", ""},
		{"\xff\xfe", "\uFFFD", ""},
	} {
		f := newFake(t, answers{"GET /acme/trash": {404, tc.body}})
		_, err := f.workspace(t).Trash(t.Context())
		var e *sdk.Error
		if !errors.As(err, &e) || e.Message != tc.message || e.Hint != tc.hint {
			t.Errorf("%q: got message %q, hint %q; want %q, %q", tc.body, e.Message, e.Hint, tc.message, tc.hint)
		}
	}
	f := newFake(t, answers{})
	_, err := f.workspace(t).Trash(t.Context())
	want := "GET /acme/trash: 404 Not Found: Unsupported request: You can see your available resources at GET / (request req_7)"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

// The sentences are those of the server (error.go of this module) and of
// contract/10; sdk's end-to-end test shows that they still are.
func TestWhyARestoreWasRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		status  int
		message string
		want    []string
	}{
		{404, `project \"d_1\" not found in trash: it is active, was restored already, or was deleted permanently`, []string{"ErrNotInTrash", "ErrNotFound"}},
		{404, `Item Not Found In Trash`, []string{"ErrNotInTrash", "ErrNotFound"}},
		{404, `there is no workspace \"b\" for this API key`, []string{"ErrNotFound"}},
		{404, `Unsupported request`, []string{"ErrNotFound"}},
		{409, `project a is being permanently deleted and cannot be restored any more`, []string{"ErrBeingRemoved", "ErrConflict"}},
		{409, `its project my-detector is in trash: restore the project first, then this`, []string{"ErrParentInTrash", "ErrConflict"}},
		{409, `The parent is in Trash.`, []string{"ErrParentInTrash", "ErrConflict"}},
		{409, `this is not in trash`, []string{"ErrConflict"}},
		{409, `the slug \"a\" was taken by another project meanwhile; restore it under a free one, such as \"a-2\" (newUrl), or rename the other first`, []string{"ErrSlugTaken", "ErrConflict"}},
		{409, `somebody was faster`, []string{"ErrConflict"}},
		{500, `the slug is taken in trash`, nil},
	} {
		f := newFake(t, answers{"POST /acme/trash/restore": {tc.status, `{"error":"` + tc.message + `"}`}})
		_, err := f.workspace(t).Restore(t.Context(), sdk.Restore{Type: sdk.TypeProject, ID: "d_1"})
		exactly(t, tc.message, err, tc.want...)
		var e *sdk.Error
		if !errors.As(err, &e) || e.Status != tc.status || !strings.Contains(err.Error(), "POST /acme/trash/restore: ") {
			t.Errorf("%s: the server's refusal is lost in %v", tc.message, err)
		}
	}
}

func TestTheWayOutOfARefusal(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers{})
	ws := f.workspace(t)
	asked := sdk.Restore{Type: sdk.TypeProject, ID: "d_1"}

	f.say("POST /acme/trash/restore", 409, `{"error":"the slug \"a\" was taken by another project meanwhile; restore it under a free one, such as \"a-2\" (newUrl), or rename the other first"}`)
	_, err := ws.Restore(t.Context(), asked)
	var taken *sdk.SlugTakenError
	if !errors.As(err, &taken) || taken.Free != "a-2" || taken.Refused != asked {
		t.Fatalf("got %#v, want the free slug a-2 and the request", taken)
	}
	f.say("POST /acme/trash/restore", 200, `{"restored":true,"type":"project","id":"d_1","url":"a-2","renamedFrom":"a","restoredToRoot":true}`)
	again := taken.Refused
	again.NewURL = taken.Free
	back, err := ws.Restore(t.Context(), again)
	if err != nil || *back != (sdk.Restored{Type: "project", ID: "d_1", URL: "a-2", RenamedFrom: "a", RestoredToRoot: true}) {
		t.Errorf("got %+v, %v", back, err)
	}
	if got, want := f.last().body, `{"type":"project","id":"d_1","newUrl":"a-2"}`; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}

	for message, want := range map[string]sdk.ParentInTrashError{
		"its project my-detector is in trash: restore the project first, then this":   {Type: "project", Name: "my-detector"},
		"its version my-detector/3 is in trash: restore the version first, then this": {Type: "version", Name: "my-detector/3"},
		"Its parent is in trash": {},
	} {
		f.say("POST /acme/trash/restore", 409, `{"error":"`+message+`"}`)
		_, err := ws.Restore(t.Context(), asked)
		var parent *sdk.ParentInTrashError
		if !errors.As(err, &parent) || parent.Type != want.Type || parent.Name != want.Name {
			t.Errorf("%s: got %#v", message, parent)
		}
	}
	f.say("POST /acme/trash/restore", 409, `{"error":"The slug is taken; choose one, such as \"../x\""}`)
	if _, err := ws.Restore(t.Context(), asked); !errors.As(err, &taken) || taken.Free != "" {
		t.Errorf("what is no slug is proposed: %q", taken.Free)
	}
}

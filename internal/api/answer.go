package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/reqid"
)

// Refusals of the door itself. No sentence of this package says "require" or the
// like: the clients' command line would add an advertisement (contract/00).
var (
	errNotBuilt = cullet.E(cullet.NotImplemented, "not available on this server")
	errNoRoute  = cullet.E(cullet.NotFound, "there is nothing at this address")
)

// notAllowed refuses a method that a route does not have.
type notAllowed struct{ methods []string }

func (e *notAllowed) Error() string { return "this address does not take that method" }

// custom is an answer with a status and a body of its own, where the clients of
// one route look for what no other has.
type custom struct {
	status int
	body   any
}

func (e *custom) Error() string { return fmt.Sprintf("answer %d", e.status) }

// answer is the one adapter that turns what a handler returns into the answer.
func (s *Server) answer(rt route, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := reqid.Of(w, r)
		reqid.SetRoute(r.Context(), rt.pattern)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.Log.Error("a handler panicked", "request", id, "route", rt.pattern, "panic", p, "stack", string(debug.Stack()))
				s.refuse(w, r, rt, id, errors.New("panic"))
			}
		}()
		defer s.limit(w, r, rt.limit)()
		if err := h(w, r); err != nil {
			s.refuse(w, r, rt, id, err)
		}
	}
}

// refuse answers an error. A fault of ours goes to the log under the request's id,
// and its text goes nowhere else.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, rt route, id string, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		panic(http.ErrAbortHandler) // nobody is there to hear it
	}
	status, kind := statusOf(err)
	message, hint := messageOf(err), ""
	if status == http.StatusInternalServerError {
		s.Log.Error("a request failed", "request", id, "method", rt.method, "route", rt.pattern, "err", err)
		hint = "request " + id
	}
	if err == errNoRoute {
		hint = "the paths begin with the workspace; GET / says which one the API key is of"
	}
	var no *notAllowed
	if errors.As(err, &no) {
		allow := slices.Clone(no.methods)
		slices.Sort(allow)
		w.Header().Set("Allow", strings.Join(slices.Compact(allow), ", "))
	}
	var body any = failure{failureDetail{message, kind, hint}}
	var own *custom
	if errors.As(err, &own) {
		status, body = own.status, own.body
	} else if rt.style == flat {
		body = flatFailure{message}
	}
	drain(r)
	reply(w, status, body)
}

type failure struct {
	Error failureDetail `json:"error"`
}

type failureDetail struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Hint    string `json:"hint,omitempty"`
}

type flatFailure struct {
	Error string `json:"error"`
}

// statuses gives each code its status and the name that hosted clients know.
var statuses = map[cullet.Code]struct {
	status int
	kind   string
}{
	cullet.Invalid:        {http.StatusBadRequest, "InvalidRequest"},
	cullet.Unauthorized:   {http.StatusUnauthorized, "OAuthException"},
	cullet.Forbidden:      {http.StatusForbidden, "Forbidden"},
	cullet.NotFound:       {http.StatusNotFound, "GraphMethodException"},
	cullet.Conflict:       {http.StatusConflict, "Conflict"},
	cullet.TooLarge:       {http.StatusRequestEntityTooLarge, "TooLarge"},
	cullet.TooMany:        {http.StatusTooManyRequests, "TooManyRequests"},
	cullet.Quota:          {http.StatusInsufficientStorage, "QuotaExceeded"},
	cullet.NotImplemented: {http.StatusNotImplemented, "NotImplemented"},
	cullet.Unavailable:    {http.StatusServiceUnavailable, "Unavailable"},
	cullet.Internal:       {http.StatusInternalServerError, "InternalError"},
}

func statusOf(err error) (int, string) {
	var no *notAllowed
	var scope *cullet.ScopeMissing
	switch {
	case errors.As(err, &no):
		return http.StatusMethodNotAllowed, "MethodNotAllowed"
	case errors.As(err, &scope): // 401 and not 403: what hosted answers, and the clients' exit codes go by
		return http.StatusUnauthorized, "OAuthException"
	}
	s, ok := statuses[cullet.CodeOf(err)]
	if !ok {
		s = statuses[cullet.Internal]
	}
	return s.status, s.kind
}

func messageOf(err error) string {
	var no *notAllowed
	if errors.As(err, &no) {
		return no.Error()
	}
	return cullet.MessageOf(err)
}

// reply sends a body as JSON. Its length is always known: the SDK reads it.
func reply(w http.ResponseWriter, status int, body any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it is no HTML, and says so
	if err := e.Encode(body); err != nil {
		panic(fmt.Errorf("encoding an answer: %w", err)) // our own structs always encode
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // who is gone is gone
}

// ok sends a body with 200, the status that most clients compare with.
func ok(w http.ResponseWriter, body any) error {
	reply(w, http.StatusOK, body)
	return nil
}

// stamp is a time as Trash says it: RFC 3339 in UTC, to the millisecond.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// exact is a time to the microsecond: the ledger is charged by it.
func exact(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// stampOrNull is a time that may not have come yet.
func stampOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := stamp(t)
	return &s
}

// orEmpty is a list that is never null on the wire: the clients iterate over it.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// object is JSON that was kept as text, or an empty object.
func object(text string) json.RawMessage {
	if !json.Valid([]byte(text)) {
		return json.RawMessage("{}")
	}
	return json.RawMessage(text)
}

// toJSON is what was decoded from JSON before, so it always encodes.
func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (s *Server) now() time.Time { return s.DB.Clock().Now() }

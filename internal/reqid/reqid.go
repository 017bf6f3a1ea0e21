// Package reqid carries what is known of a request across the handlers that it passes:
// its id, in its context and in the header of the answer, so that a person can tell the
// operator which line of the log is theirs; and, back to the outermost one, the route
// that answered it.
package reqid

import (
	"context"
	"net/http"

	"github.com/cullet-vision/cullet"
)

// Header is the header of the answer that names the request.
const Header = "X-Request-Id"

type key struct{}

// With returns a context that carries the id.
func With(ctx context.Context, id string) context.Context { return context.WithValue(ctx, key{}, id) }

// From returns the id that the context carries, "" for none.
func From(ctx context.Context) string {
	id, _ := ctx.Value(key{}).(string)
	return id
}

// Of returns the request's id: from its context, else from the answer's header as
// an outer handler set it, else a new one. The answer's header has it afterwards.
func Of(w http.ResponseWriter, r *http.Request) string {
	id := From(r.Context())
	if id == "" {
		id = w.Header().Get(Header)
	}
	if id == "" {
		id = cullet.NewID("req")
	}
	w.Header().Set(Header, id)
	return id
}

type routeKey struct{}

// WithRoute returns a context in which SetRoute keeps the route, and where to read it
// when the request was answered: "" where no route did.
func WithRoute(ctx context.Context) (context.Context, *string) {
	route := new(string)
	return context.WithValue(ctx, routeKey{}, route), route
}

// SetRoute says by which route a request is answered: a pattern of ours, and nothing that
// a client sent. It is called before the answer is given, from the request's goroutine.
func SetRoute(ctx context.Context, pattern string) {
	if route, ok := ctx.Value(routeKey{}).(*string); ok {
		*route = pattern
	}
}

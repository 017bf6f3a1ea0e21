package main

import (
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/metrics"
	"github.com/cullet-vision/cullet/internal/reqid"
)

// logged gives each request an id, logs and counts its end, and answers for a handler
// that panics. The query is left out: it may hold an API key. m may be nil.
func logged(log *slog.Logger, m *metrics.Metrics, next http.Handler) http.Handler {
	clock := systemClock
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := cullet.NewID("req")
		ctx, route := reqid.WithRoute(reqid.With(r.Context(), id))
		r = r.WithContext(ctx)
		w.Header().Set("X-Request-Id", id)
		began := clock.Now()
		s := &status{ResponseWriter: w}
		defer func() {
			p := recover()
			if p == http.ErrAbortHandler { // cut off on purpose: the server has to see it
				defer panic(p)
			} else if p != nil {
				log.Error("a handler panicked", "request", id, "panic", p, "stack", string(debug.Stack()))
				if s.code != 0 { // half an answer must not look like a whole one
					defer panic(http.ErrAbortHandler)
				} else {
					http.Error(s, `{"error":"something went wrong on the server; its log says what, under request `+id+`"}`, http.StatusInternalServerError)
				}
			}
			if s.code == 0 && p == nil { // net/http answers so where a handler writes nothing
				s.code = http.StatusOK
			}
			took := clock.Now().Sub(began)
			log.Info("request", "request", id, "method", r.Method, "path", quiet(r.URL.Path), "status", s.code, "bytes", s.bytes,
				"ms", took.Milliseconds())
			if m != nil {
				m.Answered(r.Method, *route, s.code, took)
			}
		}()
		next.ServeHTTP(s, r)
	})
}

// quiet is a path as the log may keep it: a sign-in token rides in one.
func quiet(path string) string {
	const token = "/query/cliAuthToken/"
	if i := strings.Index(path, token); i >= 0 {
		return path[:i+len(token)] + "…"
	}
	return path
}

// status remembers how a request was answered.
type status struct {
	http.ResponseWriter
	code  int
	bytes int64
}

func (s *status) WriteHeader(code int) {
	if s.code == 0 {
		s.code = code
	}
	s.ResponseWriter.WriteHeader(code)
}

func (s *status) Write(b []byte) (int, error) {
	if s.code == 0 {
		s.code = http.StatusOK
	}
	n, err := s.ResponseWriter.Write(b)
	s.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// logTo writes the log as text.
func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

package api

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/reqid"
)

// visit is what the door found out about a request.
type visit struct {
	query     url.Values
	by        cullet.Actor
	workspace cullet.Workspace // of the key
}

type visitKey struct{}

func of(r *http.Request) *visit {
	v, _ := r.Context().Value(visitKey{}).(*visit)
	return v
}

// actor is who sent the request.
func actor(r *http.Request) cullet.Actor { return of(r).by }

// query is the request's query, read as enter says.
func query(r *http.Request) url.Values { return of(r).query }

// word is what stands in a place of the path.
func word(r *http.Request, name string) string { return chi.URLParam(r, name) }

// enter lets a request in: the key first, then the workspace, then the scope, then
// what is wrong with the path whoever asks. So a stranger learns nothing.
func (s *Server) enter(rt route) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v := &visit{}
		var err error
		if v.query, err = readQuery(r.URL.RawQuery); err != nil {
			return err
		}
		if !rt.open() {
			if err := s.admit(v, rt, w, r); err != nil {
				return err
			}
		}
		if rt.handle == nil {
			return errNotBuilt
		}
		// No slug is a reserved word, so none of those gets to a handler of projects.
		if p := word(r, "project"); p != "" && cullet.CheckProjectSlug(p) != nil {
			return cullet.E(cullet.NotFound, "there is no project %q in this workspace", brief(p))
		}
		if err := tooLong(r); err != nil {
			return err
		}
		return rt.handle(w, r.WithContext(context.WithValue(r.Context(), visitKey{}, v)))
	}
}

func (s *Server) admit(v *visit, rt route, w http.ResponseWriter, r *http.Request) (err error) {
	secret := v.query.Get("api_key")
	if secret == "" {
		if kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(kind, "bearer") {
			secret = strings.TrimSpace(token)
		}
	}
	if v.by, v.workspace, err = s.Access.Key(r.Context(), secret); err != nil {
		return err
	}
	v.by.Request, v.by.Address = reqid.Of(w, r), machine(r)
	if ws := word(r, "ws"); ws != "" && ws != v.workspace.Slug {
		return cullet.E(cullet.NotFound, "there is no workspace %q for this API key", brief(ws))
	}
	if len(rt.scopes) > 0 && !slices.ContainsFunc(rt.scopes, v.by.Can) {
		return v.by.Allow(rt.scopes[0])
	}
	return nil
}

// machine is where a request came from.
func machine(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

// maxWord is the longest word of a path, in bytes, decoded.
const maxWord = 300

// clean takes the path apart as it was sent, so that %2f is no separator and ..
// leads nowhere, and gives the router one that needs no second look. It never
// redirects: clients turn a redirected DELETE into a GET. A slash at the end is
// taken off where a word that is missing would harm nothing.
func (s *Server) clean(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(outOfRouter(r.Context())) // a copy: the server keeps its own
		path := r.URL.EscapedPath()
		if path == "/" || r.Method == get || r.Method == post || r.Method == http.MethodHead {
			path = strings.TrimSuffix(path, "/")
		}
		rest, ok := strings.CutPrefix(path, "/")
		var words []string
		if ok {
			words = strings.Split(rest, "/")
		}
		for n, w := range words {
			plain, err := url.PathUnescape(w)
			ok = ok && err == nil && isWord(plain)
			words[n] = plain
		}
		if !ok && path != "" {
			rt := route{}
			if r.Method == del {
				rt.style = flat
			}
			s.answer(rt, func(http.ResponseWriter, *http.Request) error { return errNoRoute })(w, r)
			return
		}
		u := *r.URL
		u.Path, u.RawPath = "/"+strings.Join(words, "/"), ""
		r.URL = &u
		next.ServeHTTP(w, r)
	})
}

// isWord says whether a part of a path can be the name of anything.
func isWord(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= maxWord && utf8.ValidString(s) &&
		!strings.ContainsAny(s, `/\`) && !strings.ContainsFunc(s, unicode.IsControl)
}

// readQuery reads a query as it was meant. The SDK writes file names into it as
// they are, so a ; is a part of one and a % that begins no escape is itself.
func readQuery(raw string) (url.Values, error) {
	q := url.Values{}
	for pair := range strings.SplitSeq(raw, "&") {
		k, v, _ := strings.Cut(pair, "=")
		k, v = unescape(k), unescape(v)
		if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
			return nil, cullet.E(cullet.Invalid, "%s in the query is no plain text", brief(k))
		}
		if k != "" {
			q.Add(k, v)
		}
	}
	return q, nil
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// yes reads a switch of the query: absent is false.
func yes(r *http.Request, name string) (bool, error) {
	switch v := query(r).Get(name); strings.ToLower(v) {
	case "":
		return false, nil
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	default:
		return false, cullet.E(cullet.Invalid, "%s in the query must be true or false, not %q", name, brief(v))
	}
}

// number reads the version's number in the path. Only its one spelling is taken,
// so that a version has one address.
func number(r *http.Request) (int64, error) {
	text := word(r, "version")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != text {
		return 0, cullet.E(cullet.NotFound, "there is no version %q of project %s", brief(text), brief(word(r, "project")))
	}
	return n, nil
}

// brief keeps what a client sent short enough to be said back.
func brief(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

package sdk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet/sdk"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, url, key string }{
		{"no address", "", testKey},
		{"no scheme", "127.0.0.1:7080", testKey},
		{"another scheme", "ftp://127.0.0.1", testKey},
		{"no host", "http://", testKey},
		{"a query", "http://127.0.0.1/?api_key=" + testKey, testKey},
		{"a user", "http://me:" + testKey + "@127.0.0.1", testKey},
		{"no key", "http://127.0.0.1", ""},
		{"the end of a line", "http://127.0.0.1", testKey + "\n"},
		{"swapped", testKey, "http://127.0.0.1"},
		{"no URL at all", "http://127.0.0.1\x7f/" + testKey, testKey},
	} {
		_, err := sdk.New(tc.url, tc.key)
		if !errors.Is(err, sdk.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", tc.name, err)
		} else if strings.Contains(err.Error(), testKey) {
			t.Errorf("%s: the key is in %q", tc.name, err)
		}
	}
	for name, o := range map[string]sdk.Option{"nil client": sdk.WithHTTPClient(nil), "no answer": sdk.WithMaxAnswerBytes(0)} {
		if _, err := sdk.New("http://127.0.0.1", testKey, o); !errors.Is(err, sdk.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

func TestWorkspaceIsTheKeys(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers{})
	ws := f.workspace(t)
	if ws.Slug != "acme" {
		t.Errorf("slug: got %q, want acme", ws.Slug)
	}
	if got := f.last(); got.line != "POST /" || got.key != testKey || got.body != "" {
		t.Errorf("sent %+v, want POST / with the key in the query and no body", got)
	}
	f.say("POST /", 401, `{"error":{"message":"this API key does not exist or was revoked","type":"OAuthException"}}`)
	if _, err := f.client(t).Workspace(t.Context()); !errors.Is(err, sdk.ErrUnauthorized) {
		t.Errorf("wrong key: got %v, want ErrUnauthorized", err)
	}
	for _, body := range []string{`{}`, `{"workspace":""}`, `{"workspace":"a/../b"}`, `<html>`, ``, `{"workspace":"ac`, `[]`} {
		f.say("POST /", 200, body)
		if _, err := f.client(t).Workspace(t.Context()); !errors.Is(err, sdk.ErrBadAnswer) {
			t.Errorf("answer %q: got %v, want ErrBadAnswer", body, err)
		}
	}
}

func TestAddressBelowAPath(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers{"POST /vision/": {body: `{"workspace":"acme"}`}, "GET /vision/acme/trash": {body: `{"items":[]}`}})
	c, err := sdk.New(f.URL+"/vision//", testKey)
	if err != nil {
		t.Fatal(err)
	}
	ws, err := c.Workspace(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ws.Trash(t.Context()); err != nil {
		t.Error(err)
	}
}

// Words of a path stay words, and what is no slug is not sent at all.
func TestNoSlugLeadsElsewhere(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers{})
	ws := f.workspace(t)
	before := len(f.lines())
	for _, slug := range []string{"", ".", "..", "a/b", "acme/my-detector", `a\b`, "a%2fb", "a?b", "a#b", "a\nb", strings.Repeat("a", 10_000),
		"trash", "workflows", "images", "groups", "api-keys"} {
		if _, err := ws.Project(t.Context(), slug); !errors.Is(err, sdk.ErrInvalid) {
			t.Errorf("project %.20q: got %v, want ErrInvalid", slug, err)
		}
	}
	for _, slug := range []string{"", "..", "a/b"} {
		if _, err := ws.Workflow(t.Context(), slug); !errors.Is(err, sdk.ErrInvalid) {
			t.Errorf("workflow %q: got %v, want ErrInvalid", slug, err)
		}
	}
	p := project(t, f)
	before += 2
	v, err := p.Version(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	before++
	p.Slug, v.Project = "trash", "groups"
	if _, err := p.Delete(t.Context()); !errors.Is(err, sdk.ErrInvalid) {
		t.Errorf("DELETE /acme/trash: got %v, want ErrInvalid (P2)", err)
	}
	if _, err := v.Delete(t.Context()); !errors.Is(err, sdk.ErrInvalid) {
		t.Errorf("DELETE /acme/groups/3: got %v, want ErrInvalid", err)
	}
	if _, err := ws.Restore(t.Context(), sdk.Restore{Type: "project", ID: " "}); !errors.Is(err, sdk.ErrInvalid) {
		t.Errorf("blank id: got %v, want ErrInvalid", err)
	}
	if got := f.lines()[before:]; len(got) != 0 {
		t.Errorf("sent %v, want nothing", got)
	}
	if _, err := ws.Project(t.Context(), "näme with spaces"); !errors.Is(err, sdk.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if got, want := f.last().line, "GET /acme/n%C3%A4me%20with%20spaces"; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
}

func TestHandlesOfNobody(t *testing.T) {
	t.Parallel()
	if _, err := (&sdk.Project{Workspace: "acme", Slug: "a"}).Delete(t.Context()); !errors.Is(err, sdk.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	if _, err := (&sdk.Workspace{}).Trash(t.Context()); !errors.Is(err, sdk.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

// A deletion that is redirected would become a GET, and the key would be told to
// whoever it leads to.
func TestNoRedirectIsFollowed(t *testing.T) {
	t.Parallel()
	followed := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer elsewhere.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/?"+r.URL.RawQuery, http.StatusFound)
	}))
	defer s.Close()
	mine := &http.Client{}
	c, err := sdk.New(s.URL, testKey, sdk.WithHTTPClient(mine))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Workspace(t.Context())
	var e *sdk.Error
	if !errors.As(err, &e) || e.Status != http.StatusFound || !errors.Is(err, sdk.ErrBadAnswer) || followed {
		t.Errorf("got %v (followed: %v), want the redirect as an Error", err, followed)
	}
	if mine.CheckRedirect != nil {
		t.Error("the caller's http.Client was changed")
	}
	noKey(t, err)
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers{"GET /acme/trash": {body: `{"items":[{"type":"project","id":"` + strings.Repeat("x", 5000) + `"}]}`}})
	ws := f.workspace(t, sdk.WithMaxAnswerBytes(4096))
	if _, err := ws.Trash(t.Context()); !errors.Is(err, sdk.ErrAnswerTooLong) || !errors.Is(err, sdk.ErrBadAnswer) {
		t.Errorf("got %v, want ErrAnswerTooLong", err)
	}
	f.say("GET /acme/trash", 500, `{"error":"`+strings.Repeat("y", 1<<20)+`"}`)
	if _, err := ws.Trash(t.Context()); err == nil || len(err.Error()) > 10_000 {
		t.Errorf("a refusal of 1 MiB made an error of %d bytes", len(fmt.Sprint(err)))
	}
}

func TestContextAndTimeout(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half/" { // answers, and never ends
			_, _ = io.WriteString(w, `{"workspace":`)
			w.(http.Flusher).Flush()
		}
		select {
		case <-stuck:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(stuck)
	for _, path := range []string{"", "/half"} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		c, err := sdk.New(s.URL+path, testKey)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Workspace(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q, context: got %v, want DeadlineExceeded", path, err)
		}
		noKey(t, err)

		c, err = sdk.New(s.URL+path, testKey, sdk.WithHTTPClient(&http.Client{Timeout: 50 * time.Millisecond}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Workspace(t.Context())
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%q, timeout of the http.Client: got %v, want a timeout", path, err)
		}
		noKey(t, err)
	}
}

// noKey fails if the key is anywhere in an error or in what it wraps.
func noKey(t *testing.T, err error) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		text := fmt.Sprintf("%v %+v %#v %q", err, err, err, err)
		for _, form := range []string{testKey, url.QueryEscape(testKey), url.PathEscape(testKey)} {
			if strings.Contains(text, form) {
				t.Errorf("the key is in %s", text)
			}
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheKeyIsNowhere(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers{})
	c := f.client(t)
	ws := f.workspace(t)
	p := project(t, f)

	var b bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&b, nil))
	for _, v := range []any{c, *c, ws, *ws, p, []any{c}, map[string]any{"c": *c}} {
		fmt.Fprintf(&b, "%v %+v %#v %s %q\n", v, v, v, v, v)
		logger.Info("made", "it", v)
		_ = json.NewEncoder(&b).Encode(v)
	}
	if strings.Contains(b.String(), testKey) || strings.Contains(b.String(), url.QueryEscape(testKey)) {
		t.Errorf("the key is in what is printed:\n%s", b.String())
	}

	f.Close()
	_, err := ws.Trash(t.Context())
	if err == nil || !strings.Contains(err.Error(), "GET /acme/trash") {
		t.Errorf("a server that is away: got %v, want what was asked of it", err)
	}
	noKey(t, err)

	gossip := errors.New("proxy says no")
	for name, transport := range map[string]roundTripper{
		"quotes the address": func(r *http.Request) (*http.Response, error) { return nil, fmt.Errorf("cannot get %s", r.URL) },
		"wraps one": func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("wrapped: %w", &url.Error{Op: "Get", URL: r.URL.String(), Err: context.Canceled})
		},
		"keeps quiet": func(*http.Request) (*http.Response, error) { return nil, gossip },
		"answers it": func(r *http.Request) (*http.Response, error) {
			h := http.Header{"X-Request-Id": {testKey}}
			return &http.Response{StatusCode: 400, Header: h, Body: io.NopCloser(strings.NewReader(
				`{"error":{"message":"no such thing: ` + r.URL.String() + ` ` + testKey + `","hint":"try api_key=another_key&x=1"}}`))}, nil
		},
	} {
		c, err := sdk.New("http://127.0.0.1:1", testKey, sdk.WithHTTPClient(&http.Client{Transport: transport}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Workspace(t.Context())
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		noKey(t, err)
		switch name {
		case "wraps one":
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v, want Canceled", name, err)
			}
		case "keeps quiet":
			if !errors.Is(err, gossip) {
				t.Errorf("%s: got %v, want the transport's own error", name, err)
			}
		case "answers it":
			var e *sdk.Error
			if !errors.As(err, &e) || strings.Contains(err.Error(), "another_key") {
				t.Errorf("%s: got %v, want an Error without any key", name, err)
			} else {
				noKey(t, errors.New(e.Message+e.Hint+e.RequestID+e.Path))
			}
		}
	}
}

package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cullet-vision/cullet/internal/cullettest"
)

// TestMetricsAreServedApart: a server answers a scrape at --metrics-addr alone, counts its
// requests by route, and tells nothing that a client sent.
func TestMetricsAreServedApart(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		ctx := context.Background()
		p := newPlace(t, d)
		p.MetricsAddr = "127.0.0.1:0"
		g := p.ground(t, false)
		defer g.close()
		var log bytes.Buffer
		g.log = slog.New(slog.NewTextHandler(&log, nil))
		s, err := newServer(ctx, p.settings, g, nil)
		if err != nil {
			t.Fatal(err)
		}
		failed := make(chan error, 1)
		open, err := serveMetrics(s, failed)
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		_, at, _ := strings.Cut(log.String(), "url=")
		at, _, _ = strings.Cut(at, "\n")

		h, err := s.handler(ctx)
		if err != nil {
			t.Fatal(err)
		}
		main := httptest.NewServer(h)
		defer main.Close()
		for path, status := range map[string]int{
			"/metrics": http.StatusUnauthorized, "/healthz": 200, "/acme?api_key=" + p.opened.Secret: 200,
			"/acme/no-such-thing?api_key=" + p.opened.Secret: 404, "/app/sign-in": 200, "/a/b/c/d/e/f/g": 404,
		} {
			if got, _ := fetch(t, main.URL+path); got != status {
				t.Errorf("%s is answered %d, want %d", path, got, status)
			}
		}
		status, text := fetch(t, at)
		if status != http.StatusOK {
			t.Fatalf("a scrape of %s is answered %d", at, status)
		}
		for _, line := range []string{
			`cullet_http_requests_total{method="GET",route="/healthz",status="200"} 1`,
			`cullet_http_requests_total{method="GET",route="/{ws}",status="200"} 1`,
			`cullet_http_requests_total{method="GET",route="/{ws}",status="401"} 1`,
			`cullet_http_requests_total{method="GET",route="/{ws}/{project}",status="404"} 1`,
			`cullet_http_requests_total{method="GET",route="/app/sign-in",status="200"} 1`,
			`cullet_http_requests_total{method="GET",route="none",status="404"} 1`,
			`cullet_http_request_duration_seconds_count{route="/{ws}"} 2`,
			`cullet_trash_items{state="trashed",type="project",workspace="` + p.opened.Workspace.ID + `"} 0`,
			`cullet_database_read_ok 1`,
		} {
			if !strings.Contains(text, line+"\n") {
				t.Errorf("the scrape lacks %s", line)
			}
		}
		for _, secret := range []string{p.opened.Secret, p.opened.Owner.Email, "no-such-thing", "/a/b"} {
			if strings.Contains(text, secret) {
				t.Errorf("the scrape tells %q", secret)
			}
		}
		if status, _ := fetch(t, strings.TrimSuffix(at, "metrics")); status != http.StatusNotFound {
			t.Errorf("beside the metrics something answers %d", status)
		}
	})
}

func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// TestMetricsFlag: without the flag nothing listens; with it the server does, and one
// that cannot be had keeps it from starting.
func TestMetricsFlag(t *testing.T) {
	p := newPlace(t, cullettest.NewDatabase(t, "sqlite"))
	g := p.ground(t, false)
	s, err := newServer(context.Background(), p.settings, g, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.metrics != nil {
		t.Error("metrics are kept although nobody asked for them")
	}
	g.close()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := taken.Addr().String()
	if _, errs, status := p.run(t, "serve", "--addr", "127.0.0.1:0", "--metrics-addr", at); status != 1 || !strings.Contains(errs, "--metrics-addr") {
		t.Errorf("an address that is taken: status %d, %s", status, errs)
	}
	if _, errs, status := p.run(t, "serve", "--addr", "127.0.0.1:0", "--metrics-addr", "7081"); status != 1 || !strings.Contains(errs, "HOST:PORT") {
		t.Errorf("an address without a host: status %d, %s", status, errs)
	}
	taken.Close()
	served := p.serve(t, "--metrics-addr", at)
	defer served.kill()
	if status, text := fetch(t, "http://"+at+"/metrics"); status != http.StatusOK || !strings.Contains(text, "cullet_database_read_ok 1") {
		t.Errorf("the server's metrics are answered %d", status)
	}
}

// Package metrics tells a monitoring system how the server does, in Prometheus' text
// format: the Trash and its cleanup, trainings, jobs, requests, and the process.
//
// Invariants:
//   - It reads and changes nothing; it cannot reach the purge.
//   - What comes from the database is read in one view, so that the numbers of a scrape fit
//     together, and not for each scrape: see reader.
//   - Labels are ours and few: ids of workspaces, types, states, routes. Nothing that a
//     client sent is one, nor a name, an address or a key.
package metrics

import (
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cullet-vision/cullet/internal/store"
)

// Source is where the numbers come from.
type Source struct {
	DB  *store.DB
	Log *slog.Logger
}

// Metrics is a registry of its own, and what is counted as it happens.
type Metrics struct {
	registry *prometheus.Registry
	log      *slog.Logger
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

// buckets are seconds: most requests take milliseconds, an upload or an export minutes.
var buckets = []float64{.005, .02, .1, .5, 2, 10, 60, 300}

// New makes the metrics of a server.
func New(s Source) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), log: s.Log,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cullet_http_requests_total",
			Help: "Requests that were answered, by the pattern of their route (none: no route fits) and the status of the answer."},
			[]string{"method", "route", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "cullet_http_request_duration_seconds",
			Help: "How long requests took, the body's way in and out included.", Buckets: buckets}, []string{"route"}),
	}
	m.registry.MustRegister(m.requests, m.took, &reader{Source: s}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers a scrape. Where the database does not answer, the scrape says so and
// has the rest.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(m.log.Handler(), slog.LevelError),
		ErrorHandling: promhttp.ContinueOnError, CoalesceGather: true})
}

// methods are those that any route has: what else a client makes up is counted as one.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// Answered counts a request that was answered by a route, "" for none; status is 0 where
// it was cut off before an answer began.
func (m *Metrics) Answered(method, route string, status int, took time.Duration) {
	if !slices.Contains(methods, method) {
		method = "other"
	}
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.took.WithLabelValues(route).Observe(took.Seconds())
}

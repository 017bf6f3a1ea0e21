package metrics_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/metrics"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/version"
)

var ctx = context.Background()

// scraped is one scrape.
type scraped struct {
	t        *testing.T
	text     string
	families map[string]*dto.MetricFamily
}

func scrape(t *testing.T, h http.Handler) scraped {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("a scrape is answered %d: %s", w.Code, w.Body)
	}
	text := w.Body.String()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("the scrape is not Prometheus' text format: %v\n%s", err, text)
	}
	return scraped{t, text, families}
}

// value is that of the metric with exactly these labels, "name=value".
func (s scraped) value(name string, labels ...string) float64 {
	s.t.Helper()
	want := map[string]string{}
	for _, l := range labels {
		k, v, _ := strings.Cut(l, "=")
		want[k] = v
	}
	for _, m := range s.families[name].GetMetric() {
		fits := len(m.GetLabel()) == len(want)
		for _, l := range m.GetLabel() {
			fits = fits && want[l.GetName()] == l.GetValue()
		}
		switch {
		case fits && m.Histogram != nil:
			return float64(m.GetHistogram().GetSampleCount())
		case fits:
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	s.t.Errorf("there is no %s%v", name, labels)
	return -1
}

// want compares values, given as name, labels and number in turn.
func (s scraped) want(number float64, name string, labels ...string) {
	s.t.Helper()
	if got := s.value(name, labels...); got != number {
		s.t.Errorf("%s%v = %v, want %v", name, labels, got, number)
	}
}

// bench is a World with an engine, and metrics of it.
type bench struct {
	*cullettest.World
	engine *purge.Engine
	desk   *purge.Desk
	log    bytes.Buffer
	m      *metrics.Metrics
}

func newBench(t *testing.T, d cullettest.Database) *bench {
	w := cullettest.WorldOn(t, d, cullettest.NewClock())
	quiet := slog.New(slog.DiscardHandler)
	b := &bench{World: w, engine: purge.NewEngine(w.DB, w.Blobs, time.Minute, quiet), desk: &purge.Desk{DB: w.DB, Bin: w.Bin, Access: w.Access}}
	b.m = metrics.New(metrics.Source{DB: w.DB, Log: slog.New(slog.NewTextHandler(&b.log, nil))})
	return b
}

// trashed moves a new project with some images to Trash.
func (b *bench) trashed(t *testing.T, name string, images int) cullet.TrashItem {
	t.Helper()
	p := b.Project(t, name)
	for n := range images {
		b.Image(t, p.ID, 100*len(name)+n)
	}
	item, err := b.Bin.DeleteProject(ctx, b.By, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func (b *bench) update(t *testing.T, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := b.DB.Update(ctx, fn); err != nil {
		t.Fatal(err)
	}
}

// ordered has a project deleted permanently by a person while a backup is under way: its
// rows go, its files wait. It says how many rows there were.
func (b *bench) ordered(t *testing.T) (rows int64) {
	t.Helper()
	item := b.trashed(t, "ordered", 3)
	b.update(t, func(tx *store.Tx) (err error) {
		rows, err = tx.RowsBelow(ctx, item)
		return err
	})
	plan, err := b.desk.Prepare(ctx, b.Person(), b.Workspace.Slug, purge.Choice{Items: []string{item.ID}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.desk.Order(ctx, b.Person(), purge.Confirmation{Token: plan.Token, Typed: plan.Typed, Password: cullettest.Password}); err != nil {
		t.Fatal(err)
	}
	b.Pass(t, 10*time.Second)
	b.update(t, func(tx *store.Tx) error { return tx.AddBackup(ctx, "first") })
	if err := b.engine.Round(ctx); err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestScrapeDuringPurges compares a scrape with what is there: an order and a cleanup in
// the middle, one with a problem, what is held and what only lies there.
func TestScrapeDuringPurges(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		b := newBench(t, d)
		rows := b.ordered(t)
		due, stuck := b.trashed(t, "due", 4), b.trashed(t, "stuck", 1)
		b.Pass(t, 31*cullettest.Day)
		if err := b.engine.BeginDue(ctx); err != nil {
			t.Fatal(err)
		}
		problem := "a disk on fire, says ann@example.com"
		b.update(t, func(tx *store.Tx) error { return tx.DelayItem(ctx, stuck.ID, problem, tx.Now.Add(time.Hour)) })
		b.update(t, func(tx *store.Tx) error {
			_, err := tx.SweepRows(ctx, due, 3)
			return err
		})
		kept := b.trashed(t, "kept", 1)
		if _, err := b.Bin.Hold(ctx, b.Person(), []string{kept.ID}, "needed in court"); err != nil {
			t.Fatal(err)
		}
		flow := b.Workflow(t, "flow")
		if _, err := b.Bin.DeleteWorkflow(ctx, b.By, flow.ID); err != nil {
			t.Fatal(err)
		}
		live := b.Project(t, "live")
		b.Image(t, live.ID, 1)
		b.Version(t, live.ID)
		if _, err := b.Queue.Start(ctx, b.By, live.ID, 1, training.NewTraining{ModelType: "test-model"}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Press.Generate(ctx, b.By, live.ID, version.Settings{}); err != nil {
			t.Fatal(err)
		}
		b.update(t, func(tx *store.Tx) error { return tx.AddBackup(ctx, "second") })
		other := b.Another(t, "Other")

		s := scrape(t, b.m.Handler())
		ws := "workspace=" + b.Workspace.ID
		for state, n := range map[string]float64{"trashed": 0, "held": 1, "purging": 2, "problem": 1} {
			s.want(n, "cullet_trash_items", ws, "type=project", "state="+state)
			s.want(0, "cullet_trash_items", "workspace="+other.Workspace.ID, "type=project", "state="+state)
		}
		s.want(1, "cullet_trash_items", ws, "type=workflow", "state=trashed")
		s.want(float64(b.Clock.Now().Sub(due.EffectiveAt)/time.Second), "cullet_trash_overdue_seconds", ws)
		s.want(0, "cullet_trash_overdue_seconds", "workspace="+other.Workspace.ID)
		s.want(0, "cullet_cleanup_waiting", ws)
		s.want(float64(b.Clock.Now().Unix()), "cullet_cleanup_last_look_timestamp_seconds")

		s.want(1, "cullet_purge_items", ws, "by=order")
		s.want(float64(rows), "cullet_purge_rows_expected", ws, "by=order")
		s.want(float64(rows), "cullet_purge_rows_done", ws, "by=order")
		s.want(2, "cullet_purge_items", ws, "by=cleanup")
		s.want(3, "cullet_purge_rows_done", ws, "by=cleanup")
		s.want(0, "cullet_purge_freed_bytes", ws, "by=cleanup")
		s.want(1, "cullet_backup_running")
		s.want(0, "cullet_unlink_problems")
		b.compare(t, s)

		s.want(1, "cullet_trainings", "state=queued")
		s.want(0, "cullet_trainings", "state=running")
		s.want(0, "cullet_training_queue_oldest_seconds")
		s.want(2, "cullet_jobs", "state=available")
		s.want(0, "cullet_jobs", "state=discarded")
		s.want(1, "cullet_database_read_ok")
		if s.families["go_goroutines"] == nil || s.families["process_resident_memory_bytes"] == nil {
			t.Error("the scrape tells nothing of the process")
		}
		for _, secret := range []string{"ann@", "example.com", b.Secret, "on fire", "court", "stuck", "Acme", "live"} {
			if s.says(secret) {
				t.Errorf("the scrape tells %q", secret)
			}
		}
	})
}

// says says whether a word stands in a line that is not ours alone.
func (s scraped) says(word string) bool {
	for line := range strings.Lines(s.text) {
		if !strings.HasPrefix(line, "#") && strings.Contains(line, word) {
			return true
		}
	}
	return false
}

// compare holds the scrape against the store.
func (b *bench) compare(t *testing.T, s scraped) {
	t.Helper()
	err := b.DB.View(ctx, func(tx *store.Tx) error {
		totals, err := tx.TrashTotals(ctx, b.Workspace.ID)
		if err != nil {
			return err
		}
		for typ, total := range totals {
			sum := 0.0
			for _, standing := range store.Standings() {
				sum += s.value("cullet_trash_items", "workspace="+b.Workspace.ID, "type="+string(typ), "state="+string(standing))
			}
			if sum != float64(total.Items) {
				t.Errorf("the states of %ss add up to %v; there are %d", typ, sum, total.Items)
			}
			s.want(float64(total.Bytes), "cullet_trash_bytes", "workspace="+b.Workspace.ID, "type="+string(typ))
		}
		items, err := tx.ListTrash(ctx, b.Workspace.ID)
		if err != nil {
			return err
		}
		files, bytes := 0, int64(0)
		for _, t := range items {
			left, err := tx.ListUnlinks(ctx, t.ID, 1000)
			if err != nil {
				return err
			}
			for _, u := range left {
				files, bytes = files+1, bytes+u.Bytes
			}
		}
		if files == 0 {
			t.Error("no file waits: the backup holds none")
		}
		s.want(float64(files), "cullet_unlink_files")
		s.want(float64(bytes), "cullet_unlink_bytes")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestC6WaitIsTold: while cleanup waits, what became due meanwhile is not overdue.
func TestC6WaitIsTold(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		b := newBench(t, d)
		b.trashed(t, "late", 1)
		if err := b.engine.BeginDue(ctx); err != nil {
			t.Fatal(err)
		}
		b.Clock.Advance(31 * cullettest.Day)
		if err := b.engine.BeginDue(ctx); err != nil {
			t.Fatal(err)
		}
		ws := "workspace=" + b.Workspace.ID
		s := scrape(t, b.m.Handler())
		s.want(1, "cullet_cleanup_waiting", ws)
		s.want(1, "cullet_cleanup_waiting_items", ws)
		s.want(0, "cullet_trash_overdue_seconds", ws)
		s.want(1, "cullet_trash_items", ws, "type=project", "state=trashed")

		b.update(t, func(tx *store.Tx) error {
			w, err := tx.ClockWatch(ctx)
			if err != nil {
				return err
			}
			return tx.LiftWait(ctx, b.Workspace.ID, w.Wait)
		})
		b.Clock.Advance(time.Minute)
		s = scrape(t, b.m.Handler())
		s.want(0, "cullet_cleanup_waiting", ws)
		s.want(0, "cullet_cleanup_waiting_items", ws)
		s.want(float64((cullettest.Day+time.Minute)/time.Second), "cullet_trash_overdue_seconds", ws)
	})
}

// TestScrapesAreCheap: the database is looked at once in ten seconds, whoever scrapes.
func TestScrapesAreCheap(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		b := newBench(t, d)
		var asked atomic.Int64
		b.DB.Watch(func(string, int64) { asked.Add(1) })
		scrape(t, b.m.Handler())
		once := asked.Load()
		b.Workflow(t, "flow")
		if once == 0 || once > 20 {
			t.Fatalf("a scrape asks %d questions", once)
		}
		asked.Store(0)
		b.Clock.Advance(9 * time.Second)
		scrape(t, b.m.Handler())
		if n := asked.Load(); n != 0 {
			t.Errorf("9 seconds later a scrape asks %d questions", n)
		}
		b.Clock.Advance(time.Second)
		scrape(t, b.m.Handler())
		if n := asked.Load(); n != once {
			t.Errorf("10 seconds later a scrape asks %d questions, the first one asked %d", n, once)
		}
	})
}

// TestNoDatabase: a scrape says that the database does not answer, and has the rest.
func TestNoDatabase(t *testing.T) {
	b := newBench(t, cullettest.NewDatabase(t, "sqlite"))
	scrape(t, b.m.Handler()).want(1, "cullet_database_read_ok")
	b.DB.Close()
	b.Clock.Advance(time.Minute)
	s := scrape(t, b.m.Handler())
	s.want(0, "cullet_database_read_ok")
	if s.families["cullet_trash_items"] != nil || s.families["go_goroutines"] == nil {
		t.Error("numbers of before are told, or none of the process")
	}
	if !strings.Contains(b.log.String(), "could not be read") {
		t.Errorf("the log does not say why: %s", b.log.String())
	}
}

// TestRequestsAreBounded: what a client makes up makes no new series.
func TestRequestsAreBounded(t *testing.T) {
	b := newBench(t, cullettest.NewDatabase(t, "sqlite"))
	b.m.Answered(http.MethodDelete, "/{ws}/{project}", 200, 30*time.Millisecond)
	for n := range 50 {
		b.m.Answered(fmt.Sprintf("MADE%d", n), "", 405, time.Second)
	}
	s := scrape(t, b.m.Handler())
	s.want(1, "cullet_http_requests_total", "method=DELETE", "route=/{ws}/{project}", "status=200")
	s.want(50, "cullet_http_requests_total", "method=other", "route=none", "status=405")
	s.want(1, "cullet_http_request_duration_seconds", "route=/{ws}/{project}")
	if n := len(s.families["cullet_http_requests_total"].GetMetric()); n != 2 {
		t.Errorf("51 requests make %d series", n)
	}
}

// TestNames: every metric has its words, is called as Prometheus wants it, and is in the
// documentation.
func TestNames(t *testing.T) {
	b := newBench(t, cullettest.NewDatabase(t, "sqlite"))
	b.m.Answered(http.MethodGet, "/{ws}", 200, time.Millisecond)
	s := scrape(t, b.m.Handler())
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	ours := 0
	for name := range s.families {
		if !strings.HasPrefix(name, "cullet_") {
			continue
		}
		ours++
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/operations.md does not say what %s is", name)
		}
	}
	if ours < 20 {
		t.Errorf("the scrape has %d metrics of ours", ours)
	}
	problems, err := promlint.New(strings.NewReader(s.text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "cullet_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/cullet-vision/cullet/internal/account"
	"github.com/cullet-vision/cullet/internal/api"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/job"
	"github.com/cullet-vision/cullet/internal/metrics"
	"github.com/cullet-vision/cullet/internal/notify"
	"github.com/cullet-vision/cullet/internal/outward"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/reqid"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trail"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/trash"
	"github.com/cullet-vision/cullet/internal/upload"
	"github.com/cullet-vision/cullet/internal/version"
	"github.com/cullet-vision/cullet/internal/web"
	"github.com/cullet-vision/cullet/internal/workflow"
)

type serveCommand struct {
	settings
	Addr string `help:"Address to listen on; port 0 picks a free one." default:"127.0.0.1:7080" env:"CULLET_ADDR"`
}

// Run serves until it is told to stop, and then lets what is under way end.
func (c *serveCommand) Run(ctx context.Context) error {
	trainers, err := c.trainers()
	if err != nil {
		return err
	}
	g, err := openGround(ctx, c.settings, false)
	if err != nil {
		return err
	}
	defer g.close()
	s, err := newServer(ctx, c.settings, g, trainers)
	if err != nil {
		return err
	}
	return s.serve(ctx, c.Addr, func(url string) error {
		fmt.Println("listening on", url)
		return nil
	})
}

// moreProcessors lets more goroutines run than there are cores, unless an operator says
// how many. One that waits for the disk keeps its place until the runtime notices, which
// can take 10 ms: on two cores two slow commits would hold up every request.
func moreProcessors() {
	const least = 4
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < least {
		runtime.GOMAXPROCS(least)
	}
}

// server is everything that runs in a serving process.
type server struct {
	*ground
	settings settings
	jobs     *job.Engine
	press    *version.Press
	worker   *training.Worker
	engine   *purge.Engine
	metrics  *metrics.Metrics // nil: nobody is to read them

	catalog *dataset.Catalog
	intake  *upload.Intake
	queue   *training.Queue
	shelf   *workflow.Shelf
	bin     *trash.Bin
	desk    *purge.Desk
	book    *account.Book
	trail   *trail.Trail
	notify  *notify.Desk
	telling []func(context.Context) // what warns people and sends notices
}

// jobsAtOnce is how many jobs of the engine run at once in one process.
const jobsAtOnce = 4

func newServer(ctx context.Context, s settings, g *ground, trainers []training.Trainer) (*server, error) {
	alone, err := g.recover(ctx)
	if err != nil {
		return nil, fmt.Errorf("clearing what an earlier run left: %w", err)
	}
	jobs, err := job.New(ctx, g.db, jobsAtOnce, g.log)
	if err != nil {
		return nil, err
	}
	v := &server{ground: g, settings: s, jobs: jobs, metrics: s.newMetrics(g)}
	v.press = &version.Press{DB: g.db, Blobs: g.blobs, Jobs: jobs, Log: g.log, URL: s.PublicURL}
	jobs.Handle(job.Generate, v.press.Freeze)
	jobs.Handle(job.Export, v.press.Write)
	v.worker = (&training.Worker{DB: g.db, Trainers: trainers, Blobs: g.blobs, Press: v.press, Dir: filepath.Join(s.Data, "trainings"),
		Capacity: s.TrainingCapacity, Log: g.log}).Ready()
	v.engine = purge.NewEngine(g.db, g.blobs, s.CleanupInterval, g.log)
	v.engine.Grace, v.engine.ServerTime = s.CleanupGrace, g.db.ServerTime
	if alone {
		if err := v.engine.Inherit(ctx); err != nil {
			return nil, err
		}
	}
	v.catalog = &dataset.Catalog{DB: g.db}
	v.intake = &upload.Intake{DB: g.db, Blobs: g.blobs, MaxBytes: s.UploadMaxBytes}
	v.queue = &training.Queue{DB: g.db, Trainers: trainers, Changed: v.worker.Wake}
	v.shelf = &workflow.Shelf{DB: g.db}
	v.bin = &trash.Bin{DB: g.db, Retention: s.TrashRetention, Cancelled: v.worker.Wake, Jobs: jobs}
	jobs.Handle(job.Rescue, v.bin.WorkRescue)
	v.book, v.trail = account.NewBook(g.db, g.log), &trail.Trail{DB: g.db}
	v.desk = &purge.Desk{DB: g.db, Bin: v.bin, Access: g.access, Ordered: v.engine.Wake}
	v.notices()
	return v, nil
}

// notices sets up what people are told by: webhooks, and mail where there is a server
// for it.
func (s *server) notices() {
	guard := outward.Guard{AllowPrivate: s.settings.AllowPrivateURLs}
	s.notify = &notify.Desk{DB: s.db, Guard: guard}
	warner := &notify.Warner{DB: s.db, Log: s.log}
	s.telling = append(s.telling, notify.NewSender(s.db, guard, s.log).Run, warner.Run)
	if s.settings.SMTPURL == "" {
		return
	}
	mail, err := notify.ParseSMTP(s.settings.SMTPURL)
	if err != nil {
		s.log.Error("no mail is sent", "err", err) // looked at before: a setting that is wrong starts no server
		return
	}
	warner.Mail = true
	s.telling = append(s.telling, notify.NewMailer(s.db, mail, s.settings.MailFrom, s.settings.PublicURL, s.log).Run)
}

// readHeaders bounds how long a request's head may take, and request how long all
// of it may: an upload over a slow line, but no body that never ends.
const (
	readHeaders = 20 * time.Second
	request     = 15 * time.Minute
	drain       = 8 * time.Second
)

// serve listens, works, and calls ready with its address; when the context ends it
// takes no more requests, lets those there are end, and gives back its trainings.
func (s *server) serve(ctx context.Context, addr string, ready func(url string) error) error {
	moreProcessors()
	handler, err := s.handler(ctx)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	h := &http.Server{Handler: handler, ReadHeaderTimeout: readHeaders, ReadTimeout: request, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: api.MaxHeaderBytes}
	failed := make(chan error, 2)
	if s.metrics != nil {
		open, err := serveMetrics(s, failed)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		defer open.Close()
	}
	go func() { failed <- h.Serve(listener) }()

	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()
	if err := s.jobs.Start(work); err != nil {
		return fmt.Errorf("starting the jobs: %w", err)
	}
	for _, run := range append([]func(context.Context){s.worker.Run, s.engine.Run, s.book.Run, s.housekeeping}, s.telling...) {
		workers.Go(func() { run(store.Background(work)) })
	}
	if err := ready("http://" + listener.Addr().String()); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.log.Info("stopping: requests under way may end")
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := h.Shutdown(end); err != nil {
		_ = h.Close() // what did not end in time is cut off
	}
	stop()
	return s.jobs.Stop(end)
}

// handler puts the doors side by side: the web app below /app, everything else is
// the API's.
func (s *server) handler(ctx context.Context) (http.Handler, error) {
	key, err := s.linkKey(ctx)
	if err != nil {
		return nil, err
	}
	door := api.New(api.Server{DB: s.db, Access: s.access, Catalog: s.catalog, Intake: s.intake, Press: s.press, Queue: s.queue,
		Shelf: s.shelf, Bin: s.bin, Book: s.book, Trail: s.trail, Blobs: s.blobs, Log: s.log, PublicURL: strings.TrimRight(s.settings.PublicURL, "/"), LinkKey: key})
	pages := web.New(web.Server{DB: s.db, Access: s.access, Catalog: s.catalog, Press: s.press, Queue: s.queue, Shelf: s.shelf,
		Bin: s.bin, Book: s.book, Trail: s.trail, Purge: s.desk, Notify: s.notify, Blobs: s.blobs, Log: s.log, PublicURL: s.settings.PublicURL})
	split := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/healthz":
			reqid.SetRoute(r.Context(), path)
			_, _ = io.WriteString(w, "ok\n")
		case path == "/readyz":
			reqid.SetRoute(r.Context(), path)
			s.ready(w, r)
		case path == "/app" || strings.HasPrefix(path, "/app/"):
			pages.ServeHTTP(w, r)
		case path == "/" && fromBrowser(r):
			http.Redirect(w, r, "/app", http.StatusFound)
		default:
			door.ServeHTTP(w, r)
		}
	})
	return logged(s.log, s.metrics, split), nil
}

// fromBrowser says whether a person looks at the root, and no client of the API.
func fromBrowser(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") &&
		!r.URL.Query().Has("api_key") && r.Header.Get("Authorization") == ""
}

func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := s.db.Ping(ctx); err != nil {
		s.log.Error("not ready: the database does not answer", "err", err)
		http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

// How often what is left over from a crash is looked for, and what has expired.
const (
	revive = 5 * time.Second
	expire = 10 * time.Minute
	oldest = 6 * time.Hour // of a temporary file: no upload takes longer
)

// housekeeping sees to work whose worker died, and removes what has expired.
func (s *server) housekeeping(ctx context.Context) {
	clock := systemClock
	tick := clock.NewTicker(revive)
	defer tick.Stop()
	var next time.Time
	for {
		if err := errors.Join(s.press.Revive(ctx), s.bin.ReviveRescues(ctx)); err != nil && ctx.Err() == nil {
			s.log.Error("work left over could not be looked for", "err", err)
		}
		if now := clock.Now(); !now.Before(next) {
			next = now.Add(expire)
			s.expire(ctx, now)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C():
		}
	}
}

func (s *server) expire(ctx context.Context, now time.Time) {
	err := s.db.Update(ctx, func(tx *store.Tx) error { return tx.RemoveExpired(ctx) })
	_, swept := s.blobs.SweepTemp(ctx, now.Add(-oldest))
	recovered := upload.Recover(ctx, s.db, s.blobs, now.Add(-oldest))
	if err := errors.Join(err, swept, recovered); err != nil && ctx.Err() == nil {
		s.log.Error("what has expired could not be removed", "err", err)
	}
}

// Package job is our use of the job engine, River, on the database that
// everything else is in: work is enqueued in the transaction that causes it, so
// neither is there without the other.
//
// It knows kinds of work by name alone; cmd/cullet says who does them. Trainings
// are no jobs (they have leases of their own), and neither is cleanup, which
// goes by our clock.
package job

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/cullet-vision/cullet/internal/failpoint"
	"github.com/cullet-vision/cullet/internal/store"
)

// Kind is a kind of work.
type Kind string

// The kinds there are.
const (
	Generate Kind = "generate" // the images of a version are frozen
	Export   Kind = "export"   // a version is written in a format
	Rescue   Kind = "rescue"   // what somebody deleted is brought back
)

// timeouts end a job that hangs. They are finite because the engine never rescues
// an unlimited one after a kill. A generation works in short slices; an export is
// written in one go, and takes as long as the largest dataset does.
var timeouts = map[Kind]time.Duration{Generate: 10 * time.Minute, Export: 6 * time.Hour, Rescue: 10 * time.Minute}

// longest is the longest of these.
const longest = 6 * time.Hour

// Handler does the work for one thing, named by its id. It returns again where a
// slice of the work is done and more is left. It may run twice for one id, also
// at the same time, and has to make that harmless.
type Handler func(ctx context.Context, id string) (again bool, err error)

// task is the one kind that the engine knows: what to do, with what.
type task struct {
	What Kind   `json:"what"`
	ID   string `json:"id"`
}

// Kind names the task to the engine.
func (task) Kind() string { return "cullet" }

// Engine enqueues jobs and works on them.
type Engine struct {
	client   *river.Client[*sql.Tx]
	handlers map[Kind]Handler
	log      *slog.Logger
}

type worker struct {
	river.WorkerDefaults[task]
	engine *Engine
}

// Timeout bounds one run.
func (w *worker) Timeout(j *river.Job[task]) time.Duration { return timeouts[j.Args.What] }

// Work does one job.
func (w *worker) Work(ctx context.Context, j *river.Job[task]) error {
	h, ok := w.engine.handlers[j.Args.What]
	if !ok {
		return river.JobCancel(fmt.Errorf("nobody does jobs of kind %q", j.Args.What))
	}
	again, err := h(store.Background(ctx), j.Args.ID)
	if err != nil {
		if ctx.Err() == nil { // else the server stops
			w.engine.log.Error("a job failed; it is tried again", "what", j.Args.What, "id", j.Args.ID, "attempt", j.Attempt, "most", j.MaxAttempts, "err", err)
		}
		return fmt.Errorf("%s of %s: %w", j.Args.What, j.Args.ID, err)
	}
	if again {
		return river.JobSnooze(0)
	}
	return nil
}

// New makes an engine on the store's database and brings its tables up to date.
// Workers says how many jobs run at once; 0 only enqueues.
func New(ctx context.Context, db *store.DB, workers int, log *slog.Logger) (*Engine, error) {
	conn := db.Conn()
	var driver riverdriver.Driver[*sql.Tx]
	if conn.Dialect.Name() == "sqlite" {
		driver = riversqlite.New(conn.Writer)
	} else {
		driver = riverdatabasesql.New(conn.Writer)
	}
	quiet := slog.New(atLeast{log.Handler(), slog.LevelWarn})
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: quiet})
	if err != nil {
		return nil, err
	}
	err = oneAtATime(ctx, conn, func() error {
		if err := failpoint.At("migrate.jobs"); err != nil {
			return err
		}
		_, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("migrating the job engine's tables: %w", err)
	}
	failpoint.Pass("migrate.done")
	e := &Engine{handlers: map[Kind]Handler{}, log: log}
	config := &river.Config{Logger: quiet, FetchCooldown: 20 * time.Millisecond, FetchPollInterval: 250 * time.Millisecond,
		RescueStuckJobsAfter: longest + time.Minute, JobTimeout: timeouts[Generate], MaxAttempts: 4}
	if workers > 0 {
		config.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}}
		config.Workers = river.NewWorkers()
		river.AddWorker(config.Workers, &worker{engine: e})
	}
	e.client, err = river.NewClient(driver, config)
	return e, err
}

// migrating is the advisory lock that a migration of the engine's tables holds.
const migrating = 0x63756c6c65740001 // "cullet", 1

// oneAtATime holds processes apart that start together on PostgreSQL; SQLite's one
// writer does that by itself. It asks again and again rather than wait inside a
// statement, whose snapshot could hold up the migration that it waits for.
func oneAtATime(ctx context.Context, conn store.Conn, fn func() error) error {
	if conn.Dialect.Name() != "postgres" {
		return fn()
	}
	c, err := conn.Writer.Conn(ctx) // the lock is the connection's
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		var got bool
		if err := c.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, int64(migrating)).Scan(&got); err != nil {
			return err
		}
		if got {
			break
		}
		// By the machine's time, whatever clock was handed in: it is about the database.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	defer func() {
		if _, err := c.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, int64(migrating)); err != nil {
			_ = c.Raw(func(any) error { return driver.ErrBadConn }) // the lock ends with the connection
		}
	}()
	return fn()
}

// Handle says who does a kind of work. It is called before Start.
func (e *Engine) Handle(k Kind, h Handler) { e.handlers[k] = h }

// Enqueue has the work done once the transaction is committed.
func (e *Engine) Enqueue(ctx context.Context, tx *store.Tx, k Kind, id string) error {
	_, err := e.client.InsertTx(ctx, tx.SQL(), task{What: k, ID: id}, nil)
	return err
}

// mostWaiting bounds how many waiting jobs EnqueueOnce looks at.
const mostWaiting = 10_000

// EnqueueOnce enqueues the work for those of the things for which no job waits for
// a free worker. A job that runs does not count: its worker may have been killed.
func (e *Engine) EnqueueOnce(ctx context.Context, tx *store.Tx, k Kind, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	waiting, err := e.client.JobListTx(ctx, tx.SQL(), river.NewJobListParams().Kinds(task{}.Kind()).States(rivertype.JobStateAvailable).First(mostWaiting))
	if err != nil {
		return err
	}
	there := map[task]bool{}
	for _, j := range waiting.Jobs {
		var t task
		if err := json.Unmarshal(j.EncodedArgs, &t); err != nil {
			return fmt.Errorf("reading the job %d: %w", j.ID, err)
		}
		there[t] = true
	}
	for _, id := range ids {
		if there[task{k, id}] {
			continue
		}
		if err := e.Enqueue(ctx, tx, k, id); err != nil {
			return err
		}
	}
	return nil
}

// Start begins to work, until the context ends.
func (e *Engine) Start(ctx context.Context) error { return e.client.Start(ctx) }

// Stop lets running jobs end; when the context ends before they do, it cancels them.
func (e *Engine) Stop(ctx context.Context) error {
	if err := e.client.Stop(ctx); err == nil {
		return nil
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return e.client.StopAndCancel(end)
}

// atLeast drops what the engine says below a level: it tells of every fetch.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(a []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(a), h.level}
}
func (h atLeast) WithGroup(g string) slog.Handler { return atLeast{h.Handler.WithGroup(g), h.level} }

// The states of jobs that Count tells of: those that have not ended well.
const (
	Available = "available" // waits for a free worker
	Running   = "running"
	Retryable = "retryable" // failed, and is tried again
	Discarded = "discarded" // failed as often as it may; forgotten after a week
)

// States lists them.
func States() []string { return []string{Available, Running, Retryable, Discarded} }

// Count counts the jobs in each of these states, by an index of the engine's own. A job
// that is to be done at a later time, or was cut into slices, counts as available.
func Count(ctx context.Context, tx *store.Tx) (map[string]int64, error) {
	rows, err := tx.SQL().QueryContext(ctx, `SELECT CASE WHEN state IN ('scheduled', 'pending') THEN 'available' ELSE CAST(state AS TEXT) END, COUNT(*)
		FROM river_job WHERE state IN ('available', 'scheduled', 'pending', 'running', 'retryable', 'discarded') GROUP BY 1`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	by := map[string]int64{}
	for rows.Next() {
		var state string
		var n int64
		if err := rows.Scan(&state, &n); err != nil {
			return nil, err
		}
		by[state] = n
	}
	return by, rows.Err()
}

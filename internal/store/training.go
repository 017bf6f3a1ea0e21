package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
)

const trainingColumns = `t.id, t.workspace_id, t.project_id, t.project_slug, t.version_id, t.version_number, t.model_type, t.trainer, t.state, t.detail,
	t.recipe, t.epochs, t.rate, t.worker, t.token, t.lease_until, t.attempt, t.epoch, t.progress, t.created_at, t.created_by, t.started_at, t.ended_at, t.micro_credits, t.retry`

func scanTraining(r row) (t cullet.Training, err error) {
	return t, r.Scan(&t.ID, &t.Workspace, &t.Project, &t.ProjectSlug, &t.Version, &t.VersionNumber, &t.ModelType, &t.Trainer, &t.State, &t.Detail,
		&t.Recipe, &t.Epochs, &t.Rate, &t.Worker, &t.Token, instant{&t.LeaseUntil}, &t.Attempt, &t.Epoch, &t.Progress,
		instant{&t.CreatedAt}, &t.CreatedBy, instant{&t.StartedAt}, instant{&t.EndedAt}, &t.MicroCredits, &t.Retry)
}

// AddTraining keeps a new training.
func (tx *Tx) AddTraining(ctx context.Context, t cullet.Training) error {
	_, err := tx.exec(ctx, `INSERT INTO trainings (id, workspace_id, project_id, version_id, model_type, trainer, state, recipe, epochs, rate, created_at, created_by, retry)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		t.ID, t.Workspace, t.Project, t.Version, t.ModelType, t.Trainer, t.State, t.Recipe, t.Epochs, t.Rate, micros(t.CreatedAt), t.CreatedBy, t.Retry)
	return err
}

// GetTraining returns the active training with the id, or ErrNoRow.
func (tx *Tx) GetTraining(ctx context.Context, id string) (cullet.Training, error) {
	return queryOne(ctx, tx, scanTraining, `SELECT `+trainingColumns+` FROM active_trainings t WHERE t.id = $1`, id)
}

// ListTrainings returns the active trainings of a version, newest first.
func (tx *Tx) ListTrainings(ctx context.Context, version string) ([]cullet.Training, error) {
	return queryAll(ctx, tx, scanTraining, `SELECT `+trainingColumns+` FROM active_trainings t WHERE t.version_id = $1 ORDER BY t.created_at DESC, t.id DESC`, version)
}

// ListInFlight returns the active trainings of a project that have not ended.
func (tx *Tx) ListInFlight(ctx context.Context, project string) ([]cullet.Training, error) {
	return queryAll(ctx, tx, scanTraining, `SELECT `+trainingColumns+` FROM active_trainings t WHERE t.project_id = $1 AND t.state IN `+inFlight+` ORDER BY t.created_at`, project)
}

// LatestTrainings returns active trainings of a project, newest first.
func (tx *Tx) LatestTrainings(ctx context.Context, project string, limit int) ([]cullet.Training, error) {
	return queryAll(ctx, tx, scanTraining, `SELECT `+trainingColumns+` FROM active_trainings t WHERE t.project_id = $1 ORDER BY t.created_at DESC, t.id DESC LIMIT $2`, project, limit)
}

var inFlight = inList(cullet.InFlight())

// inList spells states, which are ours and safe, as an SQL list.
func inList[S ~string](states []S) string {
	quoted := make([]string, len(states))
	for n, s := range states {
		quoted[n] = "'" + string(s) + "'"
	}
	return "(" + strings.Join(quoted, ", ") + ")"
}

// NextQueued returns the queued training that has waited longest among those
// that one of the trainers takes, or ErrNoRow.
func (tx *Tx) NextQueued(ctx context.Context, trainers []string) (cullet.Training, error) {
	q := newQuery(`SELECT ` + trainingColumns + ` FROM active_trainings t WHERE t.state = 'queued' AND t.trainer IN (`)
	for n, name := range trainers {
		if n > 0 {
			q.add(", ")
		}
		q.add("?", name)
	}
	q.add(") ORDER BY t.created_at, t.id LIMIT 1")
	return queryOne(ctx, tx, scanTraining, q.text(), q.args...)
}

// TrainingMove is what a change of state keeps beside it.
type TrainingMove struct {
	To         cullet.TrainingState
	Detail     string
	Worker     string
	Token      string
	LeaseUntil time.Time
	Forgiven   bool // the attempt does not count: its worker gave it back in good order
}

// MoveTraining moves a training on from the state it was read in, or is ErrNoRow
// where somebody else was first. The caller asked cullet.NextTraining.
func (tx *Tx) MoveTraining(ctx context.Context, t cullet.Training, m TrainingMove) error {
	var started, ended time.Time
	attempt := t.Attempt
	switch {
	case m.To == cullet.TrainStarting:
		started, attempt = tx.Now, attempt+1
	case m.To != cullet.TrainQueued:
		started = t.StartedAt
	case m.Forgiven:
		attempt--
	}
	if m.To.Ended() {
		ended = tx.Now
	}
	return tx.execOne(ctx, `UPDATE trainings SET state = $4, detail = $5, worker = $6, token = $7, lease_until = $8, started_at = $9, ended_at = $10, attempt = $11
		WHERE id = $1 AND state = $2 AND token = $3`,
		t.ID, t.State, t.Token, m.To, m.Detail, m.Worker, m.Token, micros(m.LeaseUntil), micros(started), micros(ended), attempt)
}

// RenewTraining renews a lease and its open interval, and returns the state the
// training is in; ErrNoRow says that the lease ran out, is lost, or the training over:
// what ran out stays so, or a machine that slept would be billed for its sleep.
func (tx *Tx) RenewTraining(ctx context.Context, id, token string, until time.Time) (cullet.TrainingState, error) {
	s, err := queryOne(ctx, tx, scanText, `UPDATE trainings SET lease_until = $3 WHERE id = $1 AND token = $2 AND lease_until >= $4 AND state IN `+inFlight+` RETURNING state`,
		id, token, micros(until), micros(tx.Now))
	if err != nil {
		return "", err
	}
	i, err := tx.OpenInterval(ctx, id)
	if errors.Is(err, ErrNoRow) {
		return cullet.TrainingState(s), nil // its process does not run yet
	} else if err != nil {
		return "", err
	}
	return cullet.TrainingState(s), tx.execOne(ctx, `UPDATE ledger SET renewed_at = $2, micro_credits = $3 WHERE id = $1 AND closed_at = 0`,
		i.ID, micros(tx.Now), cullet.Charge(i.OpenedAt, tx.Now, i.Rate))
}

// ReportTraining keeps what a trainer said of itself.
func (tx *Tx) ReportTraining(ctx context.Context, id, token string, epoch int64, progress float64) error {
	return tx.execOne(ctx, `UPDATE trainings SET epoch = $3, progress = $4 WHERE id = $1 AND token = $2`, id, token, epoch, progress)
}

// LostTrainings returns trainings whose lease ran out: no worker gave a sign.
func (tx *Tx) LostTrainings(ctx context.Context) ([]cullet.Training, error) {
	return queryAll(ctx, tx, scanTraining, `SELECT `+trainingColumns+` FROM active_trainings t WHERE t.state IN `+inFlight+` AND t.lease_until > 0 AND t.lease_until < $1 LIMIT 100`, micros(tx.Now))
}

// AddMetrics appends what a trainer reported. What is there already stays: it may be
// told again whose commit was not answered.
func (tx *Tx) AddMetrics(ctx context.Context, metrics []cullet.Metric) error {
	for _, m := range metrics {
		_, err := tx.exec(ctx, `INSERT INTO training_metrics (training_id, seq, at, body) VALUES ($1, $2, $3, $4)
			ON CONFLICT (training_id, seq) DO NOTHING`, m.Training, m.Seq, micros(m.At), m.Body)
		if err != nil {
			return err
		}
	}
	return nil
}

// LastMetric is the number of the last metric of a training, 0 without one.
func (tx *Tx) LastMetric(ctx context.Context, training string) (int64, error) {
	return queryOne(ctx, tx, scanInt, `SELECT COALESCE(MAX(m.seq), 0) FROM training_metrics m WHERE m.training_id = $1`, training)
}

// ListMetrics returns the last metrics of an active training, oldest first.
func (tx *Tx) ListMetrics(ctx context.Context, training string, limit int) ([]cullet.Metric, error) {
	return queryAll(ctx, tx, func(r row) (m cullet.Metric, err error) {
		return m, r.Scan(&m.Training, &m.Seq, instant{&m.At}, &m.Body)
	}, `SELECT l.training_id, l.seq, l.at, l.body FROM (SELECT m.training_id, m.seq, m.at, m.body FROM training_metrics m
		JOIN active_trainings t ON t.id = m.training_id WHERE m.training_id = $1 ORDER BY m.seq DESC LIMIT $2) AS l ORDER BY l.seq`, training, limit)
}

// The ledger.

const intervalColumns = `id, workspace_id, training_id, opened_at, renewed_at, closed_at, rate, micro_credits`

func scanInterval(r row) (i cullet.Interval, err error) {
	return i, r.Scan(&i.ID, &i.Workspace, &i.Training, instant{&i.OpenedAt}, instant{&i.RenewedAt}, instant{&i.ClosedAt}, &i.Rate, &i.MicroCredits)
}

// AddInterval opens an interval of the ledger. A training has one open at most.
func (tx *Tx) AddInterval(ctx context.Context, i cullet.Interval) error {
	_, err := tx.exec(ctx, `INSERT INTO ledger (`+intervalColumns+`) VALUES ($1, $2, $3, $4, $5, 0, $6, 0)`,
		i.ID, i.Workspace, i.Training, micros(i.OpenedAt), micros(i.RenewedAt), i.Rate)
	return err
}

// OpenInterval returns a training's open interval, or ErrNoRow.
func (tx *Tx) OpenInterval(ctx context.Context, training string) (cullet.Interval, error) {
	return queryOne(ctx, tx, scanInterval, `SELECT `+intervalColumns+` FROM ledger WHERE training_id = $1 AND closed_at = 0`, training)
}

// CloseInterval closes an interval, charged until the given instant, and adds
// the charge to its training. Who comes second gets ErrNoRow: it is charged once.
func (tx *Tx) CloseInterval(ctx context.Context, i cullet.Interval, until time.Time) (int64, error) {
	charge := cullet.Charge(i.OpenedAt, until, i.Rate)
	err := tx.execOne(ctx, `UPDATE ledger SET closed_at = $2, micro_credits = $3 WHERE id = $1 AND closed_at = 0`, i.ID, micros(until), charge)
	if err != nil {
		return 0, err
	}
	_, err = tx.exec(ctx, `UPDATE trainings SET micro_credits = micro_credits + $2 WHERE id = $1`, i.Training, charge)
	return charge, err
}

// ListLedger returns a workspace's intervals, oldest first.
func (tx *Tx) ListLedger(ctx context.Context, workspace string) ([]cullet.Interval, error) {
	return queryAll(ctx, tx, scanInterval, `SELECT `+intervalColumns+` FROM ledger WHERE workspace_id = $1 ORDER BY opened_at, id`, workspace)
}

// Models.

const modelColumns = `m.id, m.workspace_id, m.project_id, m.version_id, m.training_id, m.slug, m.type, m.metrics, m.created_at`

func scanModel(r row) (m cullet.Model, err error) {
	return m, r.Scan(&m.ID, &m.Workspace, &m.Project, &m.Version, &m.Training, &m.Slug, &m.Type, &m.Metrics, instant{&m.CreatedAt})
}

// AddModel keeps what a training left.
func (tx *Tx) AddModel(ctx context.Context, m cullet.Model) error {
	_, err := tx.exec(ctx, `INSERT INTO models (id, workspace_id, project_id, version_id, training_id, slug, type, metrics, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		m.ID, m.Workspace, m.Project, m.Version, m.Training, m.Slug, m.Type, m.Metrics, micros(m.CreatedAt))
	if err != nil {
		return err
	}
	for _, f := range m.Files {
		if _, err := tx.exec(ctx, `INSERT INTO model_files (model_id, name, blob_id, bytes) VALUES ($1, $2, $3, $4)`, m.ID, f.Name, f.Blob, f.Bytes); err != nil {
			return fmt.Errorf("keeping model file %s: %w", f.Name, err)
		}
	}
	return nil
}

// ModelsOf returns the active models of a version, newest first.
func (tx *Tx) ModelsOf(ctx context.Context, version string) ([]cullet.Model, error) {
	return queryAll(ctx, tx, scanModel, `SELECT `+modelColumns+` FROM active_models m WHERE m.version_id = $1 ORDER BY m.created_at DESC, m.id`, version)
}

// FindTraining returns a training in whatever state and place, its claim and state
// alone, or ErrNoRow: a worker asks with it whose processes it found.
func (tx *Tx) FindTraining(ctx context.Context, id string) (cullet.Training, error) {
	return queryOne(ctx, tx, func(r row) (t cullet.Training, err error) {
		return t, r.Scan(&t.ID, &t.State, &t.Token, instant{&t.LeaseUntil})
	}, `SELECT t.id, t.state, t.token, t.lease_until FROM trainings t WHERE t.id = $1`, id)
}

// CountModels returns how many active models each version of a project has.
func (tx *Tx) CountModels(ctx context.Context, project string) (map[string]int64, error) {
	type count struct {
		version string
		n       int64
	}
	all, err := queryAll(ctx, tx, func(r row) (c count, err error) { return c, r.Scan(&c.version, &c.n) },
		`SELECT m.version_id, COUNT(*) FROM active_models m WHERE m.project_id = $1 GROUP BY m.version_id`, project)
	by := map[string]int64{}
	for _, c := range all {
		by[c.version] = c.n
	}
	return by, err
}

// QueueStatus is how many trainings are in a state, in all workspaces.
type QueueStatus struct {
	State  cullet.TrainingState
	Number int64
	Oldest time.Time // when the first of them was asked for
}

// QueueStatus counts the trainings in flight by state; a state that none is in is not listed.
func (tx *Tx) QueueStatus(ctx context.Context) ([]QueueStatus, error) {
	return queryAll(ctx, tx, func(r row) (q QueueStatus, err error) {
		return q, r.Scan(&q.State, &q.Number, instant{&q.Oldest})
	}, `SELECT t.state, COUNT(*), MIN(t.created_at) FROM active_trainings t WHERE t.state IN `+inFlight+` GROUP BY t.state`)
}

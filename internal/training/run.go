package training

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/training/supervise"
	"github.com/cullet-vision/cullet/internal/upload"
)

// run is one training that this worker holds a claim on.
type run struct {
	*Worker
	t       cullet.Training
	dir     string
	poked   chan struct{} // look at the state now
	tail    []string      // last lines of its log, for what to say when it fails
	seq     int64         // of the last metric
	pending []cullet.Metric
	size    int  // of what is pending, in bytes
	large   bool // a metric was too large, which the log was told
}

// tailLines is how much of a failed trainer's log its detail may quote.
const tailLines = 5

func (w *Worker) start(ctx context.Context, t cullet.Training) {
	r := &run{Worker: w, t: t, dir: filepath.Join(w.Dir, folder(t)), poked: make(chan struct{}, 1)}
	w.mu.Lock()
	w.running[t.ID] = r
	w.mu.Unlock()
	w.ended.Add(1)
	go func() {
		defer w.ended.Done()
		defer w.Wake()
		r.work(ctx)
		w.mu.Lock()
		delete(w.running, t.ID)
		w.mu.Unlock()
	}()
}

// folder names a working folder by training and claim, so that a folder left over
// can be told from one in use.
func folder(t cullet.Training) string { return t.ID + "." + t.Token }

func splitFolder(name string) (id, token string, ok bool) { return strings.Cut(name, ".") }

func (r *run) poke() {
	select {
	case r.poked <- struct{}{}:
	default:
	}
}

// work takes the training from its claim to its end. While it does, the lease is
// renewed; once it is lost, or the training is over, everything stops.
func (r *run) work(parent context.Context) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	defer func() {
		if err := os.RemoveAll(r.dir); err != nil {
			r.Log.Warn("the folder of a training could not be removed", "training", r.t.ID, "err", err)
		}
	}()
	started := make(chan *supervise.Process, 1)
	kept := make(chan struct{})
	go func() { defer close(kept); r.keep(ctx, cancel, started) }()
	err := r.prepare(ctx)
	var exit supervise.Exit
	if err == nil {
		exit, err = r.train(ctx, started)
	}
	// What follows is no longer the trainer's: it has to be done also when the server stops.
	after, done := context.WithTimeout(context.WithoutCancel(ctx), time.Hour)
	defer done()
	switch {
	case errors.Is(context.Cause(ctx), errLost):
		r.Log.Info("a training ended from outside", "training", r.t.ID)
	case parent.Err() != nil:
		r.giveBack(after)
	default:
		r.conclude(after, exit, err)
	}
	cancel(nil)
	<-kept
}

// errLost says that the claim is lost: the training was cancelled, its project
// deleted, or its lease ran out.
var errLost = errors.New("the claim on the training is lost")

// keep renews the lease, in the database and then at the supervisor, until the
// training is over; then it kills what runs.
func (r *run) keep(ctx context.Context, cancel context.CancelCauseFunc, started <-chan *supervise.Process) {
	tick := r.DB.Clock().NewTicker(cullet.LeaseHeartbeat)
	defer tick.Stop()
	var p *supervise.Process
	var renewed time.Time
	stopping := false
	for {
		select {
		case <-ctx.Done():
			if p != nil {
				p.Kill()
			}
			return
		case p = <-started:
		case <-r.poked:
		case <-tick.C():
		}
		now := r.DB.Clock().Now()
		state, err := r.look(ctx, now.Sub(renewed) >= cullet.LeaseHeartbeat)
		if errors.Is(err, store.ErrNoRow) {
			cancel(errLost)
			continue
		} else if err != nil {
			continue // the lease goes on, or runs out, by itself
		}
		if now.Sub(renewed) >= cullet.LeaseHeartbeat {
			renewed = now
			if p != nil {
				_ = p.Renew(r.DB.Clock().Now().Sub(now))
			}
		}
		if state == cullet.TrainStopping && p != nil && !stopping {
			stopping = true
			p.Stop()
		}
	}
}

// look reads the training's state, or renews the lease with it. ErrNoRow: the
// claim is lost.
func (r *run) look(ctx context.Context, renew bool) (state cullet.TrainingState, err error) {
	if renew {
		err = r.DB.Update(ctx, func(tx *store.Tx) error {
			state, err = tx.RenewTraining(ctx, r.t.ID, r.t.Token, tx.Now.Add(cullet.LeaseTime))
			return err
		})
		return state, err
	}
	err = r.DB.View(ctx, func(tx *store.Tx) error {
		t, err := tx.GetTraining(ctx, r.t.ID)
		if err == nil && (t.Token != r.t.Token || t.State.Ended()) {
			err = store.ErrNoRow
		}
		state = t.State
		return err
	})
	return state, err
}

// prepare lays the training's folder: dataset, recipe, output.
func (r *run) prepare(ctx context.Context) error {
	for _, d := range []string{"dataset", "output"} {
		if err := os.MkdirAll(filepath.Join(r.dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(r.dir, "recipe.json"), []byte(r.t.Recipe), 0o644); err != nil {
		return err
	}
	e, err := r.export(ctx)
	if err != nil {
		return err
	}
	f, n, err := r.Blobs.Open(ctx, e.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unpack(ctx, io.NewSectionReader(readerAt{f}, 0, n), n, filepath.Join(r.dir, "dataset"))
}

// mostFailures is how often in a row an export may say that it was begun again,
// since it had failed or been stopped.
const mostFailures = 5

// export has the version written in the format that the model type reads.
func (r *run) export(ctx context.Context) (cullet.Export, error) {
	by := cullet.SystemActor(r.t.Workspace, "a training", cullet.ByServer)
	for failed := 0; ; {
		e, err := r.Press.Export(ctx, by, r.t.Project, r.t.VersionNumber, FormatFor(r.t.ModelType))
		switch failed++; {
		case err == nil:
			failed = 0
		case cullet.CodeOf(err) != cullet.Unavailable || failed == mostFailures:
			return e, err
		}
		if e.State == cullet.ExportReady {
			return r.Press.File(ctx, e.ID)
		}
		select {
		case <-ctx.Done():
			return e, context.Cause(ctx)
		case <-r.DB.Clock().After(pause):
		}
	}
}

// FormatFor is the export format that a model type trains on, by the names that
// the SDK goes by (get_model_format in roboflow/core/version.py).
func FormatFor(modelType string) string {
	for _, f := range []struct {
		format string
		parts  []string
	}{
		{"yolov5pytorch", []string{"yolo"}},
		{"jsonl", []string{"pali", "flor", "qwen", "smol"}},
		{"folder", []string{"vit-b", "resn"}},
		{"coco", []string{"rfdetr", "rf-detr"}},
		{"png-mask-semantic", []string{"deep"}},
	} {
		if slices.ContainsFunc(f.parts, func(p string) bool { return strings.Contains(modelType, p) }) {
			return f.format
		}
	}
	return "yolov5pytorch"
}

// readerAt reads at a place of a blob. It serves one reader.
type readerAt struct{ f io.ReadSeeker }

func (r readerAt) ReadAt(b []byte, at int64) (int, error) {
	if _, err := r.f.Seek(at, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(r.f, b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// unpack lays an export out as files.
func unpack(ctx context.Context, r io.ReaderAt, n int64, dir string) error {
	z, err := zip.NewReader(r, n)
	if err != nil {
		return fmt.Errorf("reading the export: %w", err)
	}
	for _, m := range z.File {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if !filepath.IsLocal(m.Name) || strings.HasSuffix(m.Name, "/") {
			continue
		}
		if err := unpackOne(m, filepath.Join(dir, m.Name)); err != nil {
			return fmt.Errorf("unpacking %s: %w", m.Name, err)
		}
	}
	return nil
}

func unpackOne(m *zip.File, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	in, err := m.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// train starts the trainer, opens the meter and follows it to its end.
func (r *run) train(ctx context.Context, started chan<- *supervise.Process) (supervise.Exit, error) {
	dir, err := filepath.Abs(r.dir)
	if err != nil {
		return supervise.Exit{}, err
	}
	p, err := supervise.Start(r.Exe, supervise.Spec{ID: r.t.ID, Token: r.t.Token, Command: r.trainer(r.t.Trainer).Command,
		Dir: dir, Env: environment(dir), Lease: cullet.LeaseTime, StopGrace: stopGrace})
	if err != nil {
		return supervise.Exit{}, cullet.E(cullet.Invalid, "the trainer %s could not be started: %v", r.t.Trainer, err)
	}
	defer context.AfterFunc(ctx, p.Kill)()
	if err := r.begin(ctx); err != nil {
		p.Kill()
		go drain(p)
		p.Wait()
		return supervise.Exit{}, err
	}
	started <- p
	r.follow(ctx, p)
	return p.Wait(), nil
}

func drain(p *supervise.Process) {
	for range p.Events() { //nolint:revive // only to be read
	}
}

// environment is what a trainer sees of ours: where to find programs, and its
// folders. Settings and secrets of the server are not among it.
func environment(dir string) []string {
	env := []string{"CULLET_DATASET=" + filepath.Join(dir, "dataset"), "CULLET_RECIPE=" + filepath.Join(dir, "recipe.json"),
		"CULLET_OUTPUT=" + filepath.Join(dir, "output")}
	for _, name := range []string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
		"VIRTUAL_ENV", "PYTHONPATH", "SYSTEMROOT"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// begin says that the process runs and opens the meter, at the same instant.
func (r *run) begin(ctx context.Context) error {
	return r.DB.Update(ctx, func(tx *store.Tx) error {
		t, err := r.mine(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := move(ctx, tx, t, cullet.TrainBegin, store.TrainingMove{Detail: t.Detail, Worker: r.name, Token: t.Token, LeaseUntil: tx.Now.Add(cullet.LeaseTime)}); err != nil {
			return err
		}
		if r.seq, err = tx.LastMetric(ctx, t.ID); err != nil {
			return err
		}
		return tx.AddInterval(ctx, cullet.Interval{ID: cullet.NewID(cullet.IntervalID), Workspace: t.Workspace, Training: t.ID,
			OpenedAt: tx.Now, RenewedAt: tx.Now, Rate: t.Rate})
	})
}

// mine returns the training while this claim holds it, else ErrNoRow. Its
// version is held active until the transaction ends.
func (r *run) mine(ctx context.Context, tx *store.Tx) (cullet.Training, error) {
	if _, err := tx.ShareVersion(ctx, r.t.Project, r.t.Version); err != nil {
		return cullet.Training{}, err
	}
	t, err := tx.TakeTraining(ctx, r.t.ID)
	if err == nil && (t.Token != r.t.Token || t.State.Ended()) {
		err = store.ErrNoRow
	}
	return t, err
}

// follow keeps what the trainer says until it has ended.
func (r *run) follow(ctx context.Context, p *supervise.Process) {
	flush := r.DB.Clock().NewTicker(time.Second)
	defer flush.Stop()
	for {
		select {
		case e, more := <-p.Events():
			if !more {
				r.flush(ctx)
				return
			}
			r.heard(e)
		case <-flush.C():
			r.flush(ctx)
		}
	}
}

// What is kept of a trainer that reports faster than it is written down is bounded;
// the oldest go. A metric that is too large by itself is left out.
const (
	mostPending  = 1000
	pendingBytes = 4 << 20
	metricBytes  = 64 << 10
)

var nulRE = regexp.MustCompile(`(?s)\\u0000|\\.`)

// keepable is a JSON text that every database keeps: valid UTF-8, without NUL.
func keepable(body []byte) string {
	text := strings.ToValidUTF8(string(body), "\uFFFD")
	return nulRE.ReplaceAllStringFunc(text, func(escape string) string {
		if escape == `\u0000` {
			return `\uFFFD`
		}
		return escape
	})
}

func (r *run) heard(e supervise.Event) {
	switch e.Kind {
	case supervise.Metrics:
		body := keepable(e.Metrics)
		if len(body) > metricBytes {
			if !r.large {
				r.Log.Warn("a training reported a metric that is too large to be kept", "training", r.t.ID, "bytes", len(body), "most", metricBytes)
			}
			r.large = true
			return
		}
		r.seq++
		r.pending = append(r.pending, cullet.Metric{Training: r.t.ID, Seq: r.seq, At: r.DB.Clock().Now(), Body: body})
		for r.size += len(body); len(r.pending) > mostPending || r.size > pendingBytes; r.pending = r.pending[1:] {
			r.size -= len(r.pending[0].Body)
		}
	case supervise.Log:
		r.tail = append(r.tail, e.Line)
		if len(r.tail) > tailLines {
			r.tail = r.tail[1:]
		}
	case supervise.Lingering:
		r.Log.Error("processes of a training do not end", "training", r.t.ID, "processes", e.Left)
	}
}

// progress is what a metric may say of how far the training is.
type progress struct {
	Epoch    float64 `json:"epoch"`
	Epochs   float64 `json:"epochs"`
	Progress float64 `json:"progress"`
}

// flush writes down what was reported since the last time.
func (r *run) flush(ctx context.Context) {
	if len(r.pending) == 0 {
		return
	}
	some := r.pending
	var last progress
	for _, m := range some {
		_ = json.Unmarshal([]byte(m.Body), &last) // other lines keep what was said before
	}
	if last.Progress == 0 && last.Epochs > 0 {
		last.Progress = last.Epoch / last.Epochs
	}
	err := r.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := r.mine(ctx, tx); err != nil {
			return err
		}
		if err := tx.AddMetrics(ctx, some); err != nil {
			return err
		}
		return tx.ReportTraining(ctx, r.t.ID, r.t.Token, int64(last.Epoch), min(1, max(0, last.Progress)))
	})
	if err == nil || errors.Is(err, store.ErrNoRow) {
		r.pending, r.size = nil, 0
	}
}

// giveBack queues the training again because this server stops. It is charged to
// this moment.
func (r *run) giveBack(ctx context.Context) {
	r.end(ctx, cullet.TrainLose, store.TrainingMove{Detail: "its worker was shut down; it is begun again", Forgiven: true})
}

// conclude ends the training as its process ended.
func (r *run) conclude(ctx context.Context, exit supervise.Exit, err error) {
	switch {
	case err != nil:
		r.fail(ctx, cullet.MessageOf(err), err)
	case exit.Why == supervise.WhyLease || exit.Why == supervise.WhyLost || exit.Why == supervise.WhyPipeClosed:
		// The lease is over, or will be at once: whoever finds it so decides.
	case exit.Code != 0 || exit.Forced:
		r.fail(ctx, strings.TrimSpace(fmt.Sprintf("the trainer ended with %s. %s", exit, strings.Join(r.tail, "\n"))), nil)
	default:
		r.finish(ctx)
	}
}

func (r *run) fail(ctx context.Context, detail string, cause error) {
	r.Log.Warn("a training failed", "training", r.t.ID, "detail", detail, "err", cause)
	r.end(ctx, cullet.TrainFail, store.TrainingMove{Detail: detail})
}

// end moves the training by an event that leaves no model. Where somebody else
// ended it before, it stays as they ended it.
func (r *run) end(ctx context.Context, event cullet.TrainingEvent, m store.TrainingMove) {
	m.Detail = strings.ReplaceAll(strings.ToValidUTF8(m.Detail[:min(len(m.Detail), 2000)], ""), "\x00", "")
	err := r.DB.Update(ctx, func(tx *store.Tx) error {
		t, err := r.mine(ctx, tx)
		if err != nil {
			return err
		}
		_, err = move(ctx, tx, t, event, m)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNoRow) {
		r.Log.Error("the end of a training could not be kept; its lease will run out", "training", r.t.ID, "err", err)
	}
}

// maxWeights is the largest file of weights, in bytes.
const maxWeights = 64 << 30

// finish keeps what the trainer left as a model. The meter is closed in the same
// transaction; a deletion at the same instant wins or comes too late, as a whole.
func (r *run) finish(ctx context.Context) {
	stored, err := r.collect(ctx)
	for _, s := range stored {
		defer upload.Release(ctx, r.DB, r.Blobs, s.Stored)
	}
	if err == nil && len(stored) == 0 {
		err = cullet.E(cullet.Invalid, "the trainer ended well but left no file in its output folder (CULLET_OUTPUT)")
	}
	if err != nil {
		r.fail(ctx, cullet.MessageOf(err), err)
		return
	}
	err = r.DB.Update(ctx, func(tx *store.Tx) error {
		t, err := r.mine(ctx, tx)
		if err != nil {
			return err
		}
		m := cullet.Model{ID: cullet.NewID(cullet.ModelID), Workspace: t.Workspace, Project: t.Project, Version: t.Version, Training: t.ID,
			Slug: modelSlug(t), Type: t.ModelType, Metrics: "{}", CreatedAt: tx.Now}
		if last, err := tx.ListMetrics(ctx, t.ID, 1); err != nil {
			return err
		} else if len(last) > 0 {
			m.Metrics = last[0].Body
		}
		bytes := int64(0)
		for _, s := range stored {
			b, err := tx.AddBlob(ctx, cullet.Blob{ID: cullet.NewID(cullet.BlobID), Digest: s.Digest, Bytes: s.Bytes, Path: s.Path, CreatedAt: tx.Now})
			if err != nil {
				return err
			}
			m.Files = append(m.Files, cullet.ModelFile{Name: s.name, Blob: b.ID, Bytes: s.Bytes})
			bytes += s.Bytes
		}
		if _, err := move(ctx, tx, t, cullet.TrainFinish, store.TrainingMove{Detail: t.Detail}); err != nil {
			return err
		}
		if err := tx.AddModel(ctx, m); err != nil {
			return err
		}
		_, err = tx.CountProject(ctx, t.Project, cullet.ProjectCounts{Bytes: bytes})
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNoRow) {
		r.fail(ctx, cullet.MessageOf(err), err)
	}
}

// modelSlug names a model after its project, version and the random end of its training's id.
func modelSlug(t cullet.Training) string {
	suffix := fmt.Sprintf("-%d-%s", t.VersionNumber, t.ID[len(t.ID)-10:])
	return t.ProjectSlug[:min(len(t.ProjectSlug), cullet.MaxSlug-len(suffix))] + suffix
}

type weights struct {
	blob.Stored
	name string
}

// collect stores every regular file of the output folder.
func (r *run) collect(ctx context.Context) (all []weights, err error) {
	root := filepath.Join(r.dir, "output")
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		s, err := r.Blobs.Put(ctx, f, maxWeights)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		all = append(all, weights{s, strings.ToValidUTF8(filepath.ToSlash(name), "_")})
		return err
	})
	return all, err
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/fsck"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/training/supervise"
	"github.com/cullet-vision/cullet/internal/trash"
)

// asCullet makes the test binary run as cullet itself.
const asCullet = "CULLET_TEST_AS_CULLET"

// helpers are other processes that the test binary can run as. Each says whether
// it was meant.
var helpers []func() bool

func TestMain(m *testing.M) {
	for _, help := range helpers {
		if help() {
			return
		}
	}
	if os.Getenv(asCullet) != "" || len(os.Args) > 1 && os.Args[1] == supervise.Subcommand {
		main()
		return
	}
	os.Exit(m.Run())
}

// place is a data folder with a workspace, on one of the databases.
type place struct {
	settings
	opened access.Opened
}

func newPlace(t *testing.T, d cullettest.Database) *place {
	t.Helper()
	p := &place{settings: settings{Data: t.TempDir(), DatabaseURL: d.URL, TrashRetention: time.Second, CleanupInterval: time.Second, UploadMaxBytes: 1 << 20}}
	g := p.ground(t, true)
	defer g.close()
	var err error
	p.opened, err = g.access.Open(context.Background(), access.NewWorkspace{Name: "Acme", Email: "ann@example.com", Password: cullettest.Password})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *place) ground(t *testing.T, create bool) *ground {
	t.Helper()
	g, err := openGround(context.Background(), p.settings, create)
	if err != nil {
		t.Fatal(err)
	}
	g.log = slog.New(slog.DiscardHandler)
	return g
}

// process is a serving cullet.
type process struct {
	cmd *exec.Cmd
	url string
	log bytes.Buffer
}

func (p *place) serve(t *testing.T, flags ...string) *process {
	t.Helper()
	args := append([]string{"serve", "--data", p.Data, "--addr", "127.0.0.1:0"}, flags...)
	if p.DatabaseURL != "" {
		args = append(args, "--database-url", p.DatabaseURL)
	}
	s := &process{cmd: exec.Command(os.Args[0], args...)}
	s.cmd.Env = append(os.Environ(), asCullet+"=1")
	s.cmd.Stderr = &s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.kill()
		t.Fatalf("the server did not start: %v\n%s", err, s.log.String())
	}
	s.url = strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	return s
}

// kill is kill -9.
func (s *process) kill() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

// check runs fsck and compares the files on the disk with their rows.
func (p *place) check(t *testing.T) fsck.Report {
	t.Helper()
	g := p.ground(t, false)
	defer g.close()
	r, err := fsck.Check(context.Background(), g.db, g.blobs, fsck.Options{Deep: true})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Clean() || r.Files != r.Blobs || r.Young != 0 {
		t.Errorf("fsck: %d files, %d rows of files, %d without a row, findings %v", r.Files, r.Blobs, r.Young, r.Findings)
	}
	for _, folder := range []string{"tmp", "pending"} {
		if left, err := os.ReadDir(filepath.Join(p.blobs(), folder)); err != nil || len(left) > 0 {
			t.Errorf("%d files are left in %s, %v", len(left), folder, err)
		}
	}
	return r
}

// TestKilledPurge kills the server at ten random moments of a purge of 5,000
// images, a tenth of them shared with another project: it resumes, ends, and
// leaves just the other project's bytes (C3, C4, C5).
func TestKilledPurge(t *testing.T) {
	cullettest.TakesLong(t, "kills servers")
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		const images, shared = 5000, 500
		p := newPlace(t, d)
		p.fill(t, images, shared)
		g := p.ground(t, false)
		defer g.close()
		during := 0
		for range 10 {
			s := p.serve(t, "--cleanup-interval", "50ms")
			p.moment(t, g)
			s.kill()
			if items := p.items(t, g); len(items) > 0 {
				during++
				t.Logf("killed after %d rows and %d bytes", items[0].DoneRows, items[0].DoneBytes)
			}
		}
		if during == 0 {
			t.Error("the purge was over before the first kill: no moment of it was hit")
		}
		t.Logf("%d of 10 kills hit the purge", during)
		s := p.serve(t, "--cleanup-interval", "50ms")
		waitFor(t, 3*time.Minute, "the purge to end", func() bool { return len(p.items(t, g)) == 0 })
		s.kill()
		s = p.serve(t) // clears what the last kill left
		s.kill()
		if r := p.check(t); r.Blobs != shared {
			t.Errorf("C4: %d files are left, want the %d of the other project", r.Blobs, shared)
		}
	})
}

// fill makes two projects by rows and files, and moves the larger one to Trash.
func (p *place) fill(t *testing.T, images, shared int) {
	t.Helper()
	ctx := context.Background()
	g := p.ground(t, false)
	defer g.close()
	by, _, err := g.access.Key(ctx, p.opened.Secret)
	if err != nil {
		t.Fatal(err)
	}
	catalog := &dataset.Catalog{DB: g.db}
	var projects []cullet.Project
	for _, name := range []string{"Large", "Other"} {
		project, err := catalog.CreateProject(ctx, by, dataset.NewProject{Name: name, Type: "object-detection"})
		if err != nil {
			t.Fatal(err)
		}
		projects = append(projects, project)
	}
	var stored []cullet.Blob
	for n := range images {
		s, err := g.blobs.Put(ctx, strings.NewReader(fmt.Sprintf("picture %d %s", n, strings.Repeat("x", 2000))), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.blobs.Settle(ctx, s.Path); err != nil {
			t.Fatal(err)
		}
		stored = append(stored, cullet.Blob{ID: cullet.NewID(cullet.BlobID), Digest: s.Digest, Bytes: s.Bytes, Path: s.Path, CreatedAt: g.db.Clock().Now()})
	}
	err = g.db.Update(ctx, func(tx *store.Tx) error {
		for _, b := range stored {
			if _, err := tx.AddBlob(ctx, b); err != nil {
				return err
			}
		}
		for n, project := range projects {
			batch, err := tx.EnsureBatch(ctx, cullet.Batch{ID: cullet.NewID(cullet.BatchID), Project: project.ID, Name: "all", CreatedAt: tx.Now})
			if err != nil {
				return err
			}
			some := stored
			if n == 1 {
				some = stored[:shared]
			}
			for _, b := range some {
				seq, err := tx.CountProject(ctx, project.ID, cullet.ProjectCounts{Images: 1, Unannotated: 1, Train: 1, Bytes: 2 * b.Bytes}) // the picture is its own thumbnail
				if err != nil {
					return err
				}
				i := cullet.Image{ID: cullet.NewID(cullet.ImageID), Workspace: project.Workspace, Project: project.ID, Name: "a.png", Digest: b.Digest,
					Blob: b.ID, Thumb: b.ID, Format: "png", Bytes: b.Bytes, Width: 1, Height: 1, Split: cullet.Train, Batch: batch, Tags: []string{},
					Metadata: "{}", Seq: seq, CreatedAt: tx.Now}
				if err := tx.AddImage(ctx, i); err != nil {
					return err
				}
			}
			if err := tx.CountBatch(ctx, batch, int64(len(some))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	bin := &trash.Bin{DB: g.db, Retention: time.Millisecond}
	if _, err := bin.DeleteProject(ctx, by, "large"); err != nil {
		t.Fatal(err)
	}
}

// moment waits for a random one of the purge: some rows or bytes further than it
// is, and a little more; or a second, when it does not get on.
func (p *place) moment(t *testing.T, g *ground) {
	t.Helper()
	done := func() (n int64) {
		for _, i := range p.items(t, g) {
			n += i.DoneRows + i.DoneBytes/1000
		}
		return n
	}
	further := done() + rand.Int64N(1500)
	late := time.NewTimer(time.Second)
	defer late.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for done() < further && len(p.items(t, g)) > 0 {
		select {
		case <-late.C:
			return
		case <-look.C:
		}
	}
	<-time.NewTimer(time.Duration(rand.IntN(30)) * time.Millisecond).C
}

// items returns what is in Trash or on its way out of it.
func (p *place) items(t *testing.T, g *ground) []cullet.TrashItem {
	t.Helper()
	var items []cullet.TrashItem
	err := g.db.View(context.Background(), func(tx *store.Tx) (err error) {
		items, err = tx.ListTrash(context.Background(), p.opened.Workspace.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// waitFor looks again until what is waited for is so, within wide bounds.
func waitFor(t *testing.T, most time.Duration, what string, so func() bool) {
	t.Helper()
	end := time.NewTimer(most)
	defer end.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for !so() {
		select {
		case <-end.C:
			t.Fatalf("waited %v in vain for %s", most, what)
		case <-look.C:
		}
	}
}

// TestKilledUploads kills the server at ten random moments of an upload loop: every
// upload that was answered is there, and nothing is half there.
func TestKilledUploads(t *testing.T) {
	cullettest.TakesLong(t, "kills servers")
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		p := newPlace(t, d)
		p.project(t, "Belt")
		var mu sync.Mutex
		answered := map[string]bool{}
		picture := 0
		for range 10 {
			s := p.serve(t)
			stop := make(chan struct{})
			enough := make(chan struct{}, 1000)
			var clients sync.WaitGroup
			for range 4 {
				clients.Go(func() {
					for {
						mu.Lock()
						picture++
						n := picture
						mu.Unlock()
						id, err := p.upload(s.url, n)
						if err != nil {
							return // killed
						}
						mu.Lock()
						answered[id] = true
						mu.Unlock()
						select {
						case enough <- struct{}{}:
						default:
						}
						select {
						case <-stop:
							return
						default:
						}
					}
				})
			}
			for range 1 + rand.IntN(20) { // answers, with others under way
				<-enough
			}
			s.kill()
			close(stop)
			clients.Wait()
		}
		s := p.serve(t) // settles what the kills left
		s.kill()
		r := p.check(t)
		g := p.ground(t, false)
		defer g.close()
		if len(answered) == 0 {
			t.Fatal("no upload was answered")
		}
		for id := range answered {
			if _, err := (&dataset.Catalog{DB: g.db}).File(context.Background(), id, false); err != nil {
				t.Errorf("upload %s was answered and is gone: %v", id, err)
			}
		}
		t.Logf("%d uploads answered, %d files", len(answered), r.Files)
	})
}

func (p *place) project(t *testing.T, name string) {
	t.Helper()
	g := p.ground(t, false)
	defer g.close()
	by, _, err := g.access.Key(context.Background(), p.opened.Secret)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&dataset.Catalog{DB: g.db}).CreateProject(context.Background(), by, dataset.NewProject{Name: name, Type: "object-detection"}); err != nil {
		t.Fatal(err)
	}
}

// upload sends a picture as the SDK does.
func (p *place) upload(url string, n int) (id string, err error) {
	return p.send(url, cullettest.PNG(n))
}

func (p *place) send(url string, picture []byte) (id string, err error) {
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	_ = m.WriteField("name", "a.png")
	_ = m.WriteField("split", "train")
	f, err := m.CreateFormFile("file", "a.png")
	if err != nil {
		return "", err
	}
	_, _ = f.Write(picture)
	_ = m.Close()
	res, err := http.Post(url+"/dataset/belt/upload?api_key="+p.opened.Secret, m.FormDataContentType(), &body)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	var answer struct{ ID string }
	if err := json.Unmarshal(b, &answer); err != nil || res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", res.Status, b)
	}
	return answer.ID, nil
}

// TestDrain: SIGTERM lets a request that is under way end, and the process exits 0.
func TestDrain(t *testing.T) {
	p := newPlace(t, cullettest.NewDatabase(t, "sqlite"))
	p.project(t, "Belt")
	s := p.serve(t)
	if _, err := p.upload(s.url, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("after SIGINT: %v\n%s", err, s.log.String())
	}
	p.check(t)
}

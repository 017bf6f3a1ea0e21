package supervise

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// unhurried is a lease that no test outlives.
	unhurried = 10 * time.Minute
	// patience is for what must happen some time, on however slow a machine.
	patience = 60 * time.Second
	// promise is D4's: from Kill until nothing is left.
	promise = 5 * time.Second
)

// act is the command that plays a role.
func act(role string, args ...string) []string {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return append([]string{exe, "act", role}, args...)
}

func slow(t *testing.T) {
	if testing.Short() {
		t.Skip("slow, or hard on the machine")
	}
}

func sh(script string) []string { return []string{"/bin/sh", "-c", script} }

// specOf is a Spec with what most tests want.
func specOf(t *testing.T, command []string) Spec {
	return Spec{
		ID: "t_test", Token: t.Name() + "-" + strconv.FormatInt(int64(bootTime()), 36), Command: command, Dir: t.TempDir(),
		Env: []string{"PATH=" + os.Getenv("PATH")}, Lease: unhurried, StopGrace: unhurried,
	}
}

// run starts the training and sees to it that it ends with the test, without a
// crash or race of the supervisor.
func run(t *testing.T, spec Spec) *Process {
	t.Helper()
	p, err := Start("", spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if exit := p.Wait(); exit.Why != WhyLost && p.stderr.quote() != "" {
			t.Errorf("the supervisor said%s", p.stderr.quote())
		}
	})
	return p
}

// await reads events until one is as wanted, and returns it.
func await(t *testing.T, events <-chan Event, what string, wanted func(Event) bool) Event {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case e, open := <-events:
			if !open {
				t.Fatalf("the events ended without %s", what)
			}
			if wanted(e) {
				return e
			}
		case <-late:
			t.Fatalf("no %s within %v", what, patience)
		}
	}
}

// awaitRoles waits until all of the roles have announced themselves, and
// returns their processes.
func awaitRoles(t *testing.T, events <-chan Event, names ...string) map[string]process {
	t.Helper()
	found := make(map[string]process)
	await(t, events, strings.Join(names, ", "), func(e Event) bool {
		role, pid, _ := strings.Cut(e.Line, " ")
		if number, err := strconv.Atoi(pid); err == nil && slices.Contains(names, role) {
			p, ok := readProcess(number)
			if !ok {
				t.Fatalf("%s: no such process", e.Line)
			}
			found[role] = p
		}
		return len(found) == len(names)
	})
	return found
}

// wait is p.Wait with an end.
func wait(t *testing.T, p *Process, within time.Duration) Exit {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(within):
		t.Fatalf("the training has not ended within %v", within)
	}
	return p.Wait()
}

// discard reads the events so that the trainer is not held up.
func discard(p *Process) {
	go func() {
		for range p.Events() {
		}
	}()
}

// eventually waits until the condition holds. It has to look: that a stranger's
// process ended is told to nobody but its parent.
func eventually(t *testing.T, what string, within time.Duration, holds func() bool) {
	t.Helper()
	for late := time.After(within); !holds(); {
		select {
		case <-late:
			t.Fatalf("not within %v: %s", within, what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func alive(pid int) bool {
	p, ok := readProcess(pid)
	return ok && p.alive()
}

func isGone(p process) bool {
	now, ok := readProcess(p.pid)
	return !ok || now.start != p.start || !now.alive()
}

// noneLeft checks at once that none of the processes lives, and that none has
// the token: Wait and Exited promise that.
func noneLeft(t *testing.T, token string, known map[string]process) {
	t.Helper()
	for name, p := range known {
		if !isGone(p) {
			t.Errorf("%s (%d) is still there", name, p.pid)
		}
	}
	if left := markedWith(t, token); len(left) > 0 {
		t.Errorf("marked processes are left: %v", left)
	}
}

func markedWith(t *testing.T, token string) (pids []int) {
	t.Helper()
	marks, err := Marked()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range marks {
		if m.Token == token {
			pids = append(pids, m.PID)
		}
	}
	return pids
}

var wholeFamily = []string{"family", "deaf-child", "deaf-daemon", "deaf-wiped"}

func TestKillLeavesNothing(t *testing.T) {
	t.Parallel()
	p := run(t, specOf(t, act("family")))
	known := awaitRoles(t, p.Events(), wholeFamily...)
	begin := time.Now()
	p.Kill()
	exit := wait(t, p, patience)
	took := time.Since(begin)
	noneLeft(t, p.Token(), known)
	if took > promise {
		t.Errorf("killing took %v, want less than %v (D4)", took, promise)
	}
	if want := (Exit{Why: WhyKilled, Code: -1, Signal: 9, Forced: true}); exit != want {
		t.Errorf("exit %v, want %v", exit, want)
	}
	if err := p.Renew(0); !errors.Is(err, ErrEnded) {
		t.Errorf("renewing what has ended: %v, want ErrEnded", err)
	}
}

func TestWhatATrainerLeavesBehindIsKilled(t *testing.T) {
	t.Parallel()
	script := fmt.Sprintf("%q act daemonize daemon; env -i %q act daemonize wiped; read line < gate; exit 7", exe(), exe())
	spec := specOf(t, sh(script))
	tell := gate(t, spec)
	p := run(t, spec)
	known := awaitRoles(t, p.Events(), "deaf-daemon", "deaf-wiped")
	tell()
	exit := wait(t, p, patience)
	noneLeft(t, p.Token(), known)
	if want := (Exit{Why: WhyExited, Code: 7}); exit != want {
		t.Errorf("exit %v, want %v", exit, want)
	}
}

func exe() string { return act("")[0] }

// gate makes a pipe "gate" in the training's folder, from which its trainer reads
// a line before it goes on: that is when tell is called.
func gate(t *testing.T, spec Spec) (tell func()) {
	t.Helper()
	name := filepath.Join(spec.Dir, "gate")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := os.WriteFile(name, []byte("go\n"), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// storms are families that are hard to kill one by one, and how many of them can
// be seen at once.
var storms = map[string]struct {
	script string
	size   int
}{
	// Each starts short-lived children all the time, in a session of its own.
	"forkers": {`i=0; while [ $i -lt 15 ]; do setsid sh -c 'trap "" TERM; while :; do (:); done' & i=$((i+1)); done`, 15},
	// Each lives only to start the next: it is never where it was just seen.
	"comets": {`i=0; while [ $i -lt 4 ]; do setsid sh -c 'c() { c & exit 0; }; c' & i=$((i+1)); done`, 0},
	// Each starts its children anew when they are killed.
	"phoenix": {`i=0; while [ $i -lt 8 ]; do setsid sh -c 'while :; do sleep 1000 & sleep 1000 & wait; done' & i=$((i+1)); done`, 24},
	// A tree of some hundred processes that grows while it is killed.
	"tree": {`t() { if [ $1 -gt 0 ]; then t $(($1-1)) & t $(($1-1)) & t $(($1-1)) & fi; sleep 1000; }; t 5 &`, 30},
}

func TestKillAmidAForkStorm(t *testing.T) {
	slow(t)
	for name, storm := range storms {
		t.Run(name, func(t *testing.T) {
			p := run(t, specOf(t, sh(storm.script+"\necho storm $$; sleep 1000")))
			known := awaitRoles(t, p.Events(), "storm")
			discard(p)
			eventually(t, "a storm", patience, func() bool { return len(markedWith(t, p.Token())) >= storm.size })
			begin := time.Now()
			p.Kill()
			exit := wait(t, p, patience)
			took := time.Since(begin)
			noneLeft(t, p.Token(), known)
			t.Logf("gone after %v", took)
			if took > promise {
				t.Errorf("killing took %v, want less than %v (D4)", took, promise)
			}
			if exit.Why != WhyKilled {
				t.Errorf("exit %v, want killed: not so by the supervisor", exit)
			}
		})
	}
}

func TestLeaseRunsOut(t *testing.T) {
	t.Parallel()
	slow(t)
	spec := specOf(t, act("family"))
	spec.Lease = 5 * time.Second
	begin := bootTime()
	p := run(t, spec)
	known := awaitRoles(t, p.Events(), wholeFamily...)
	discard(p)
	exit := wait(t, p, patience)
	if took := bootTime() - begin; took < spec.Lease*9/10 {
		t.Errorf("killed after %v, long before the lease of %v ended", took, spec.Lease)
	}
	noneLeft(t, p.Token(), known)
	if want := (Exit{Why: WhyLease, Code: -1, Signal: 9, Forced: true}); exit != want {
		t.Errorf("exit %v, want %v", exit, want)
	}
}

func TestRenewalsKeepItRunningAndAgeCounts(t *testing.T) {
	t.Parallel()
	slow(t)
	spec := specOf(t, sh("echo ready $$; while sleep 0.1; do echo tick; done"))
	spec.Lease = 3 * time.Second
	begin := bootTime()
	p := run(t, spec)
	awaitRoles(t, p.Events(), "ready")
	await(t, p.Events(), "tick after two leases", func(Event) bool {
		if err := p.Renew(0); err != nil {
			t.Fatal(err)
		}
		return bootTime()-begin > 2*spec.Lease
	})
	discard(p)
	// A renewal of a lease that is nearly over is worth little, and a later
	// one cannot be undone by it.
	if err := p.Renew(spec.Lease); err != nil {
		t.Error(err)
	}
	if exit := wait(t, p, patience); exit.Why != WhyLease {
		t.Errorf("exit %v, want %v", exit, WhyLease)
	}
}

func TestAnOldLeaseIsShort(t *testing.T) {
	t.Parallel()
	spec := specOf(t, sh("sleep 1000"))
	spec.LeaseAge = spec.Lease - time.Second
	p := run(t, spec)
	discard(p)
	if exit := wait(t, p, patience); exit.Why != WhyLease {
		t.Errorf("exit %v, want %v", exit, WhyLease)
	}
}

// hire starts a worker as a process of its own, and returns its events.
func hire(t *testing.T, spec Spec) (*exec.Cmd, <-chan Event) {
	t.Helper()
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	command := act("worker", string(text))
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_, _ = KillMarked(context.Background(), spec.Token)
	})
	events := make(chan Event, 1000)
	go func() {
		defer close(events)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e Event
			if err := json.Unmarshal(lines.Bytes(), &e); err == nil {
				events <- e
			}
		}
	}()
	return cmd, events
}

// awaitGone waits until all of the processes are.
func awaitGone(t *testing.T, token string, known map[string]process, within time.Duration) {
	t.Helper()
	for name, p := range known {
		eventually(t, name+" is gone", within, func() bool { return isGone(p) })
	}
	eventually(t, "nothing marked is left", within, func() bool { return len(markedWith(t, token)) == 0 })
}

func TestFrozenWorker(t *testing.T) {
	t.Parallel()
	slow(t)
	spec := specOf(t, act("family"))
	spec.Lease = 4 * time.Second
	w, events := hire(t, spec)
	known := awaitRoles(t, events, append(wholeFamily, "supervisor")...)
	if err := w.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	awaitGone(t, spec.Token, known, patience)
	if err := w.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	e := await(t, events, "exit", func(e Event) bool { return e.Kind == Exited })
	if want := (Exit{Why: WhyLease, Code: -1, Signal: 9, Forced: true}); *e.Exit != want {
		t.Errorf("exit %v, want %v", *e.Exit, want)
	}
}

func TestKilledWorker(t *testing.T) {
	t.Parallel()
	spec := specOf(t, act("family"))
	w, events := hire(t, spec)
	known := awaitRoles(t, events, append(wholeFamily, "supervisor")...)
	if err := w.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	awaitGone(t, spec.Token, known, patience)
	if took := time.Since(begin); took > promise {
		t.Errorf("it took %v, want less than %v", took, promise)
	}
}

func TestKilledSupervisor(t *testing.T) {
	t.Parallel()
	p := run(t, specOf(t, sh(fmt.Sprintf("%q act daemonize daemon; exec %q act deaf trainer", exe(), exe()))))
	known := awaitRoles(t, p.Events(), "deaf-daemon", "deaf-trainer")
	discard(p)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	exit := wait(t, p, patience)
	noneLeft(t, p.Token(), known)
	if exit.Why != WhyLost || !strings.Contains(exit.Error, "killed") {
		t.Errorf("exit %v, want lost, and that the supervisor was killed", exit)
	}
}

// TestNextWorkerCleansUp: the supervisor and its worker are killed at once.
func TestNextWorkerCleansUp(t *testing.T) {
	t.Parallel()
	spec := specOf(t, sh(fmt.Sprintf("%q act daemonize daemon; exec %q act deaf trainer", exe(), exe())))
	w, events := hire(t, spec)
	known := awaitRoles(t, events, "supervisor", "deaf-daemon", "deaf-trainer")
	daemon := known["deaf-daemon"]
	delete(known, "deaf-daemon")
	if err := w.Process.Signal(unix.SIGSTOP); err != nil { // it must not clean up
		t.Fatal(err)
	}
	known["supervisor"].signal(unix.SIGKILL)
	if err := w.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for name, p := range known {
		eventually(t, name+" is gone", patience, func() bool { return isGone(p) })
	}
	if got := markedWith(t, spec.Token); !slices.Equal(got, []int{daemon.pid}) {
		t.Fatalf("marked: %v, want the daemon %d alone", got, daemon.pid)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, want := range []int{1, 0} { // again is harmless
		if killed, err := KillMarked(ctx, spec.Token); killed != want || err != nil {
			t.Errorf("KillMarked = %d, %v, want %d", killed, err, want)
		}
	}
	noneLeft(t, spec.Token, map[string]process{"daemon": daemon})
}

func TestKillMarkedWantsAToken(t *testing.T) {
	if _, err := KillMarked(t.Context(), ""); err == nil {
		t.Error("KillMarked without a token: want an error")
	}
}

// TestFrozenSupervisor: a trainer that freezes its supervisor gains nothing.
func TestFrozenSupervisor(t *testing.T) {
	t.Parallel()
	spec := specOf(t, act("freezer"))
	tell := gate(t, spec)
	p := run(t, spec)
	discard(p)
	tell() // not before it could report that the trainer runs
	eventually(t, "the supervisor is frozen", patience, func() bool {
		s, _ := readProcess(p.cmd.Process.Pid)
		return s.state == 'T'
	})
	begin := time.Now()
	p.Kill()
	exit := wait(t, p, patience)
	if took := time.Since(begin); took > promise {
		t.Errorf("killing took %v, want less than %v (D4)", took, promise)
	}
	noneLeft(t, p.Token(), nil)
	if exit.Why != WhyKilled {
		t.Errorf("exit %v, want killed", exit)
	}
}

// TestFloodS3: nobody reads the events, and neither killing nor the lease waits.
func TestFloodS3(t *testing.T) {
	t.Parallel()
	t.Run("kill", func(t *testing.T) {
		t.Parallel()
		p := run(t, specOf(t, act("flood")))
		awaitRoles(t, p.Events(), "flood")
		eventually(t, "events that nobody reads", patience, func() bool { return len(p.events) == cap(p.events) })
		begin := time.Now()
		if err := p.Renew(0); err != nil {
			t.Error(err)
		}
		p.Kill()
		exit := wait(t, p, patience)
		if took := time.Since(begin); took > promise {
			t.Errorf("killing took %v, want less than %v (D4)", took, promise)
		}
		noneLeft(t, p.Token(), nil)
		if want := (Exit{Why: WhyKilled, Code: -1, Signal: 9, Forced: true}); exit != want {
			t.Errorf("exit %v, want %v", exit, want)
		}
		await(t, p.Events(), "exit", func(e Event) bool { return e.Kind == Exited })
	})
	t.Run("lease", func(t *testing.T) {
		t.Parallel()
		spec := specOf(t, act("flood"))
		spec.Lease = 3 * time.Second
		run(t, spec)
		eventually(t, "the flood is gone", patience, func() bool { return len(markedWith(t, spec.Token)) == 0 })
	})
	t.Run("and all is read", func(t *testing.T) {
		t.Parallel()
		p := run(t, specOf(t, sh("seq 100000; seq 3 >&2")))
		trainer := await(t, p.Events(), "start", func(e Event) bool { return e.Kind == Started }).PID
		next, stderr := 1, 0
		for e := range p.Events() {
			switch {
			case e.Kind == Log && e.Stream == Stdout:
				if next == 98000 {
					// The rest fits into the pipes. A reader that is this slow
					// must get it all, long after the trainer has ended.
					eventually(t, "the trainer has ended", patience, func() bool { return !alive(trainer) })
					<-time.After(2 * time.Second)
				}
				if e.Line != strconv.Itoa(next) {
					t.Fatalf("got line %q, want %d", e.Line, next)
				}
				next++
			case e.Stream == Stderr:
				stderr++
			}
		}
		if next != 100001 || stderr != 3 {
			t.Errorf("got %d and %d lines, want 100000 and 3", next-1, stderr)
		}
		if exit := wait(t, p, patience); exit != (Exit{Why: WhyExited}) {
			t.Errorf("exit %v", exit)
		}
	})
}

func TestLongLine(t *testing.T) {
	t.Parallel()
	p := run(t, specOf(t, act("long-line")))
	e := await(t, p.Events(), "a line", func(e Event) bool { return e.Kind == Log })
	if !e.Cut || e.Line != strings.Repeat("x", MaxLineBytes) {
		t.Errorf("got %d bytes, cut: %v; want %d, cut", len(e.Line), e.Cut, MaxLineBytes)
	}
	e = await(t, p.Events(), "the line after it", func(Event) bool { return true })
	if e.Kind != Metrics || string(e.Metrics) != `{"epoch":1}` {
		t.Errorf("after the long line came %+v", e)
	}
	await(t, p.Events(), "exit", func(e Event) bool { return e.Kind == Exited && *e.Exit == Exit{Why: WhyExited} })
}

func TestEventsInOrder(t *testing.T) {
	t.Parallel()
	p := run(t, specOf(t, sh(`echo hello; echo '{"epoch": 1}'; echo '[1]'; printf 'a\377\r\nno end'`)))
	var got []string
	for e := range p.Events() {
		e.PID = 0
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(text))
	}
	want := []string{
		`{"kind":"started"}`,
		`{"kind":"log","line":"hello","stream":"stdout"}`,
		`{"kind":"metrics","metrics":{"epoch":1}}`,
		`{"kind":"log","line":"[1]","stream":"stdout"}`,
		`{"kind":"log","line":"a` + "\ufffd" + `","stream":"stdout"}`,
		`{"kind":"log","line":"no end","stream":"stdout"}`,
		`{"kind":"exited","exit":{"why":"exited","code":0}}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]Exit{
		"exit 0":         {Why: WhyExited},
		"exit 3":         {Why: WhyExited, Code: 3},
		"exit 255":       {Why: WhyExited, Code: 255},
		"kill -SEGV $$":  {Why: WhyExited, Code: -1, Signal: 11},
		"kill -KILL $$":  {Why: WhyExited, Code: -1, Signal: 9},
		"kill -TERM 0":   {Why: WhyExited, Code: -1, Signal: 15}, // its own group: not its supervisor
		"trap '' PIPE":   {Why: WhyExited},
		"exec sh -c 'a'": {Why: WhyExited, Code: 127},
	} {
		p := run(t, specOf(t, sh(script)))
		discard(p)
		if exit := wait(t, p, patience); exit != want {
			t.Errorf("%s: exit %v, want %v", script, exit, want)
		}
	}
}

func TestStopLetsATrainerSave(t *testing.T) {
	t.Parallel()
	p := run(t, specOf(t, sh("trap 'echo saved > model; exit 0' TERM; echo ready $$; while :; do sleep 0.05; done")))
	awaitRoles(t, p.Events(), "ready")
	discard(p)
	p.Stop()
	p.Stop()
	if exit := wait(t, p, patience); exit != (Exit{Why: WhyStopped}) {
		t.Errorf("exit %v, want stopped with status 0", exit)
	}
	if _, err := os.Stat(filepath.Join(p.cmd.Dir, "model")); err != nil {
		t.Error(err)
	}
}

func TestStopOfADeafTrainerEndsWithTheGrace(t *testing.T) {
	t.Parallel()
	spec := specOf(t, act("family"))
	spec.StopGrace = time.Second
	p := run(t, spec)
	known := awaitRoles(t, p.Events(), wholeFamily...)
	discard(p)
	begin := bootTime()
	p.Stop()
	exit := wait(t, p, patience)
	if took := bootTime() - begin; took < spec.StopGrace {
		t.Errorf("killed after %v, within the grace of %v", took, spec.StopGrace)
	}
	noneLeft(t, p.Token(), known)
	if want := (Exit{Why: WhyStopped, Code: -1, Signal: 9, Forced: true}); exit != want {
		t.Errorf("exit %v, want %v", exit, want)
	}
}

func TestKillEndsTheGrace(t *testing.T) {
	t.Parallel()
	p := run(t, specOf(t, act("family")))
	known := awaitRoles(t, p.Events(), wholeFamily...)
	p.Stop()
	p.Kill()
	exit := wait(t, p, patience)
	noneLeft(t, p.Token(), known)
	if exit.Why != WhyKilled {
		t.Errorf("exit %v, want killed", exit)
	}
}

func TestSignalledSupervisorStops(t *testing.T) {
	t.Parallel()
	p := run(t, specOf(t, sh("trap 'exit 4' TERM; echo ready $$; while :; do sleep 0.05; done")))
	awaitRoles(t, p.Events(), "ready")
	discard(p)
	for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGQUIT, unix.SIGTERM} {
		if err := p.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	if exit := wait(t, p, patience); exit != (Exit{Why: WhyStopped, Code: 4}) {
		t.Errorf("exit %v, want stopped with status 4", exit)
	}
}

func TestCannotStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plain"), []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "odd"), []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Spec)
		want   string
	}{
		"not in PATH":   {func(s *Spec) { s.Command = []string{"no-such-trainer"} }, `start trainer: exec: "no-such-trainer": executable file not found in $PATH`},
		"no PATH":       {func(s *Spec) { s.Command, s.Env = []string{"sh"}, nil }, `executable file not found in $PATH`},
		"no such file":  {func(s *Spec) { s.Command = []string{"./missing"} }, `"./missing": stat ./missing: no such file`},
		"no permission": {func(s *Spec) { s.Command = []string{"./plain"} }, `"./plain": permission denied`},
		"no program":    {func(s *Spec) { s.Command = []string{"./odd"} }, "exec format error"},
		"no folder":     {func(s *Spec) { s.Dir = filepath.Join(dir, "missing") }, "missing: no such file"},
		"no command":    {func(s *Spec) { s.Command = nil }, "no command"},
		"no lease":      {func(s *Spec) { s.Lease = 0 }, "lease"},
		"zero byte":     {func(s *Spec) { s.Token = "a\x00b" }, "zero byte"},
	} {
		spec := specOf(t, sh("sleep 1000"))
		spec.Dir = dir
		c.change(&spec)
		p, err := Start("", spec)
		if err == nil {
			p.Kill()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", name, err, c.want)
		}
		if left := markedWith(t, spec.Token); len(left) > 0 {
			t.Errorf("%s: processes %v are left", name, left)
		}
	}
	if _, err := Start("/bin/true", specOf(t, sh("sleep 1000"))); err == nil {
		t.Error("a supervisor that is none: want an error")
	}
}

func TestMainByHand(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(exe(), Subcommand, "x")
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(text), "worker") {
		t.Errorf("%v, %s", err, text)
	}
}

// TestTrainerSeesNothingOfTheWorkerS4 is not parallel: it sets the environment.
func TestTrainerSeesNothingOfTheWorkerS4(t *testing.T) {
	t.Setenv("CULLET_DATABASE_URL", "postgres://secret")
	const script = `
		tr '\0' '\n' < /proc/$$/environ | sed 's/^/trainer /'
		tr '\0' '\n' < /proc/$PPID/environ | sed 's/^/supervisor /'
		find /proc/$$/fd -type l -printf 'file %f %l\n'
		grep flags /proc/$$/fdinfo/1
		cat
		echo session $(cut -d ' ' -f 5,6 /proc/$$/stat) $$
		pwd`
	spec := specOf(t, sh(script))
	spec.Env = append(spec.Env, "MINE=1")
	p := run(t, spec)
	lines := make(map[string][]string)
	for e := range p.Events() {
		kind, rest, _ := strings.Cut(strings.ReplaceAll(e.Line, "\t", " "), " ")
		lines[kind] = append(lines[kind], rest)
	}
	slices.Sort(lines["file"])
	marks := []string{EnvTraining + "=t_test", EnvToken + "=" + p.Token()}
	for _, line := range append(lines["trainer"], lines["supervisor"]...) {
		name, _, _ := strings.Cut(line, "=")
		if !slices.Contains([]string{"PATH", "MINE", "PWD", "OLDPWD", "SHLVL", "_", EnvTraining, EnvToken, ""}, name) {
			t.Errorf("environment has %q (S4)", line)
		}
	}
	for _, mark := range append(marks, "MINE=1") {
		if !slices.Contains(lines["trainer"], mark) {
			t.Errorf("trainer's environment %q lacks %s", lines["trainer"], mark)
		}
	}
	if slices.Contains(lines["supervisor"], "MINE=1") {
		t.Error("the supervisor has the trainer's environment")
	}
	if files := lines["file"]; len(files) != 3 || !strings.HasPrefix(files[0], "0 /dev/null") {
		t.Errorf("trainer's open files: %q, want three, the first /dev/null (S4)", files)
	}
	if flags, err := strconv.ParseUint(strings.TrimSpace(strings.Join(lines["flags:"], "")), 8, 32); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("trainer's stdout has flags %o, %v: want it blocking", flags, err)
	}
	session := strings.Fields(strings.Join(lines["session"], ""))
	if len(session) != 3 || session[0] != session[1] || session[1] != session[2] {
		t.Errorf("group, session, process of the trainer: %v, want all the same", session)
	}
	if !slices.Contains(slices.Collect(keys(lines)), spec.Dir) {
		t.Errorf("not run in %s", spec.Dir)
	}
}

func keys(lines map[string][]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range lines {
			if !yield(k) {
				return
			}
		}
	}
}

func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	script := "i=0; while [ $i -lt 50 ]; do (sh -c 'exit 0' &); i=$((i+1)); done; echo ready $$; sleep 1000"
	p := run(t, specOf(t, sh(script)))
	awaitRoles(t, p.Events(), "ready")
	discard(p)
	eventually(t, "no zombie is left below the supervisor", patience, func() bool {
		return !slices.ContainsFunc(processes(), func(c process) bool {
			return c.parent == p.cmd.Process.Pid && !c.alive()
		})
	})
	p.Kill()
	wait(t, p, patience)
}

// TestKillAtAnyMoment: Kill, Stop and the trainer's own end may meet.
func TestKillAtAnyMoment(t *testing.T) {
	t.Parallel()
	for i := range 30 {
		p := run(t, specOf(t, sh("(sleep 1000 &); echo x; exit 0")))
		discard(p)
		go p.Stop()
		for range i % 3 {
			_ = p.Renew(0)
		}
		p.Kill()
		p.Kill()
		exit := wait(t, p, patience)
		noneLeft(t, p.Token(), nil)
		if exit.Why != WhyKilled && exit.Why != WhyExited && exit.Why != WhyStopped {
			t.Errorf("exit %v", exit)
		}
	}
}

package supervise

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain makes the test binary what the binary is: a supervisor when it is
// called as one. Called with "act" it is one of the processes that the tests
// need, hostile ones and a worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case Subcommand:
			// Not os.Exit, which under the race detector takes a second. Races
			// are on stderr by then; see run.
			syscall.Exit(Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
		case "act":
			roles[os.Args[2]](os.Args[3:])
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// roles are what the test binary can play. Most announce themselves on stdout
// with "<role> <pid>", which is how a test knows that they are ready.
var roles map[string]func(args []string)

func init() {
	roles = map[string]func(args []string){
		"deaf":      deaf,
		"family":    household,
		"daemonize": daemonize,
		"flood":     flood,
		"long-line": longLine,
		"freezer":   freezer,
		"worker":    worker,
	}
}

func announce(role string) { fmt.Println(role, os.Getpid()) }

// forever blocks without the runtime calling it a deadlock.
func forever() { <-time.After(time.Hour) }

// deaf ignores every signal that can be ignored.
func deaf(args []string) {
	signal.Ignore()
	announce(strings.Join(append([]string{"deaf"}, args...), "-"))
	forever()
}

// household is a trainer with a deaf child, a deaf daemon, and a deaf daemon that
// wiped its environment.
func household([]string) {
	signal.Ignore()
	play(nil, os.Environ(), "deaf", "child")
	play(nil, os.Environ(), "daemonize", "daemon")
	play(nil, []string{"A=b"}, "daemonize", "wiped")
	announce("family")
	forever()
}

// daemonize starts a deaf one in a session of its own and ends, so that it is
// an orphan.
func daemonize(args []string) {
	play(&syscall.SysProcAttr{Setsid: true}, os.Environ(), "deaf", args...)
}

// play starts the test binary in a role and leaves it to itself.
func play(attr *syscall.SysProcAttr, env []string, role string, args ...string) {
	cmd := exec.Command("/proc/self/exe", append([]string{"act", role}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.SysProcAttr = os.Stdout, os.Stderr, env, attr
	if err := cmd.Start(); err != nil {
		fmt.Println("play", role, err)
	}
}

// flood writes to both streams as fast as it can.
func flood([]string) {
	announce("flood")
	text := []byte(strings.Repeat(strings.Repeat("y", 99)+"\n", 1000))
	go func() {
		for {
			_, _ = os.Stderr.Write(text)
		}
	}()
	for {
		_, _ = os.Stdout.Write(text)
	}
}

// longLine writes a line of 20 MB, and then a short one.
func longLine([]string) {
	mega := []byte(strings.Repeat("x", 1<<20))
	for range 20 {
		_, _ = os.Stdout.Write(mega)
	}
	fmt.Println("\n" + `{"epoch":1}`)
}

// freezer freezes its supervisor again and again, once it is told to.
func freezer([]string) {
	supervisor := os.Getppid()
	signal.Ignore()
	_, _ = os.ReadFile("gate")
	_ = unix.Kill(supervisor, unix.SIGSTOP)
	play(nil, os.Environ(), "deaf")
	for {
		_ = unix.Kill(supervisor, unix.SIGSTOP)
	}
}

// worker is a worker with one training, whose Spec is its argument. It renews
// and writes the events to its stdout.
func worker(args []string) {
	var spec Spec
	if err := json.Unmarshal([]byte(args[0]), &spec); err != nil {
		panic(err)
	}
	p, err := Start("", spec)
	if err != nil {
		panic(err)
	}
	go func() {
		for range time.Tick(spec.Lease / 20) {
			_ = p.Renew(0)
		}
	}()
	out := json.NewEncoder(os.Stdout)
	_ = out.Encode(Event{Kind: Log, Line: "supervisor " + strconv.Itoa(p.cmd.Process.Pid)})
	for e := range p.Events() {
		_ = out.Encode(e)
	}
}

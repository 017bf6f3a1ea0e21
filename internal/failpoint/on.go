//go:build failpoints

package failpoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Enabled says whether this binary has failpoints.
const Enabled = true

// Env arms one place: NAME=WHAT or NAME=WHAT@HIT. Without a hit it is the first
// one; each happens once.
//
//	kill    the process ends itself by SIGKILL
//	enospc  the place fails with an error that is syscall.ENOSPC
//	fail    the place fails with another error
//	slow    the place takes a second
const Env = "CULLET_FAILPOINT"

// HitsEnv names a file to which every hit of a place is appended, a line each.
const HitsEnv = "CULLET_FAILPOINT_HITS"

// ErrInjected is what fail returns.
var ErrInjected = errors.New("a failpoint says no")

type arm struct {
	name, what string
	hit        int
}

var (
	armed = parse(os.Getenv(Env))
	file  = os.Getenv(HitsEnv)

	mu   sync.Mutex
	seen = map[string]int{}
)

// parse reads what Env says; a mistake ends the process, since a test that arms
// nothing would prove nothing.
func parse(s string) (a arm) {
	if s == "" {
		return a
	}
	var ok bool
	var hit string
	a.hit = 1
	if a.name, a.what, ok = strings.Cut(s, "="); ok {
		if a.what, hit, ok = strings.Cut(a.what, "@"); ok {
			a.hit, _ = strconv.Atoi(hit)
		}
	}
	switch a.what {
	case "kill", "enospc", "fail", "slow":
	default:
		a.hit = 0
	}
	if a.name == "" || a.hit < 1 {
		fmt.Fprintf(os.Stderr, "%s=%q is not of the form NAME=kill|enospc|fail|slow[@HIT]\n", Env, s)
		os.Exit(2)
	}
	return a
}

// At is a place where what is done can still fail. It returns the error that a
// test injects there, else nil.
func At(name string) error {
	if !hit(name) {
		return nil
	}
	switch armed.what {
	case "enospc":
		return fmt.Errorf("failpoint %s: %w", name, syscall.ENOSPC)
	case "fail":
		return fmt.Errorf("failpoint %s: %w", name, ErrInjected)
	case "slow":
		time.Sleep(time.Second)
		return nil
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}

// Pass is a place where nothing can fail any more: after a commit.
func Pass(name string) { _ = At(name) }

// hit counts, and says whether this hit is the armed one.
func hit(name string) bool {
	mu.Lock()
	defer mu.Unlock()
	seen[name]++
	if file != "" {
		note(name)
	}
	return armed.name == name && armed.hit == seen[name]
}

func note(name string) {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(f, name)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "failpoint:", err)
		os.Exit(2)
	}
}

type actKey struct{}

// In names the act that the context's transaction is.
func In(ctx context.Context, act string) context.Context {
	return context.WithValue(ctx, actKey{}, Act{act})
}

// Act is a named act, whose steps are places.
type Act struct{ name string }

// Of returns the act that the context names.
func Of(ctx context.Context) Act {
	a, _ := ctx.Value(actKey{}).(Act)
	return a
}

// At is a step of the act that can still fail.
func (a Act) At(step string) error {
	if a.name == "" {
		return nil
	}
	return At(a.name + "." + step)
}

// Pass is a step after which nothing can fail any more.
func (a Act) Pass(step string) { _ = a.At(step) }

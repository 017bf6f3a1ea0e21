package supervise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Marked lists the living processes of this machine that bear the marks of any
// training, supervisors included, as far as this user may look: a worker that
// starts finds with it what an earlier one left behind.
func Marked() ([]Mark, error) {
	if _, ok := readProcess(os.Getpid()); !ok {
		return nil, errors.New("/proc is not mounted: the processes of trainings cannot be found")
	}
	var marks []Mark
	for _, p := range processes() {
		if !p.alive() {
			continue
		}
		if m, ok := markOf(p.pid); ok {
			marks = append(marks, m)
		}
	}
	return marks, nil
}

// markOf reads the marks of a process.
func markOf(pid int) (Mark, bool) {
	environ, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil || !bytes.Contains(environ, []byte(EnvToken+"=")) {
		return Mark{}, false
	}
	m := Mark{PID: pid}
	for entry := range strings.SplitSeq(string(environ), "\x00") {
		switch name, value, _ := strings.Cut(entry, "="); name {
		case EnvTraining:
			m.Training = value
		case EnvToken:
			m.Token = value
		}
	}
	return m, m.Token != ""
}

// KillMarked kills every process of the training that was started with the
// token, its supervisor too, and returns how many it found once none is left.
// It is for a training that has lost its supervisor; doing it again, at once or
// by two workers, is harmless. It finds those that bear the mark, their
// descendants, and who shares a session that began below the training. The
// calling process and its ancestors are left alone.
//
// When ctx ends first, the error names who is left.
func KillMarked(ctx context.Context, token string) (killed int, err error) {
	if token == "" {
		return 0, errors.New("no token to look for")
	}
	frozen := make(frozenSet)
	find := func() []process { return kinOf(token) }
	// A process between fork and exec, or amid an exec, shows no environment:
	// none must be seen several times.
	for clean := 0; clean < 3; {
		all := frozen.freeze(find)
		killEach(all)
		clean++
		left := pids(all)
		if len(left) > 0 {
			clean = 0
		}
		select {
		case <-ctx.Done():
			return len(frozen), fmt.Errorf("processes %v of the training are left: %w", left, ctx.Err())
		case <-clock.After(2 * time.Millisecond):
		}
	}
	return len(frozen), nil
}

// kinOf lists who belongs to the run with the token.
func kinOf(token string) []process {
	all := slices.DeleteFunc(processes(), func(p process) bool { return !p.alive() })
	leaders := make(map[int]bool)
	for _, p := range all {
		leaders[p.pid] = p.pid == p.session
	}
	spared := ancestry(all)
	candidates := slices.DeleteFunc(all, func(p process) bool { return spared[p.pid] })
	members := make(map[int]bool)
	for _, p := range candidates {
		if m, ok := markOf(p.pid); ok && m.Token == token {
			members[p.pid] = true
		}
	}
	return widen(candidates, members, leaders)
}

// widen adds to the members until nobody is left to add: their descendants, and
// who shares a session with one, unless the session's leader lives and is no
// member (a person's shell, in which somebody copied the marks).
func widen(candidates []process, members, leaders map[int]bool) []process {
	for {
		sessions := make(map[int]bool)
		for _, p := range candidates {
			if members[p.pid] && (members[p.session] || !leaders[p.session]) {
				sessions[p.session] = true
			}
		}
		found := below(candidates, func(p process) bool { return members[p.pid] || sessions[p.session] })
		before := len(members)
		for _, p := range found {
			members[p.pid] = true
		}
		if len(members) == before {
			return found
		}
	}
}

// ancestry is this process and those above it.
func ancestry(all []process) map[int]bool {
	parent := make(map[int]int)
	for _, p := range all {
		parent[p.pid] = p.parent
	}
	line := map[int]bool{1: true}
	for pid := os.Getpid(); pid > 0 && !line[pid]; pid = parent[pid] {
		line[pid] = true
	}
	return line
}

package supervise

import (
	"os"
	"slices"
	"testing"
)

func TestParseStat(t *testing.T) {
	const rest = " S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1000 2000"
	for _, command := range []string{"(sh)", "(a b)", "(a) R 1 1 1)", "(()", "()"} {
		got, ok := parseStat([]byte("42 " + command + rest))
		want := process{pid: 42, parent: 7, session: 9, state: 'S', start: 4242}
		if !ok || got != want {
			t.Errorf("command %q: got %+v, %v, want %+v", command, got, ok, want)
		}
	}
	for _, line := range []string{"", "42", "42 (sh", "42 (sh) S 7", ")("} {
		if p, ok := parseStat([]byte(line)); ok {
			t.Errorf("%q was read as %+v", line, p)
		}
	}
	if p, ok := readProcess(os.Getpid()); !ok || p.parent != os.Getppid() {
		t.Errorf("this process: %+v, %v, want parent %d", p, ok, os.Getppid())
	}
}

func TestBelow(t *testing.T) {
	all := []process{
		{pid: 1}, {pid: 2, parent: 1}, {pid: 3, parent: 2}, {pid: 4, parent: 3}, {pid: 5, parent: 1},
		{pid: 6, parent: 7}, {pid: 7, parent: 6}, // a circle, as an unlucky reading may show
		{pid: 2, parent: 4}, // a number twice, below itself
	}
	got := numbers(below(all, func(p process) bool { return p.parent == 2 }))
	if want := []int{2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("below 2: got %v, want %v", got, want)
	}
}

// numbers lists each number once, dead or alive.
func numbers(all []process) []int {
	var list []int
	for _, p := range all {
		list = append(list, p.pid)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func TestWiden(t *testing.T) {
	all := []process{
		{pid: 10, parent: 1, session: 10},   // supervisor, marked
		{pid: 11, parent: 10, session: 11},  // trainer, wiped its mark
		{pid: 12, parent: 11, session: 12},  // its child, in a session of its own
		{pid: 13, parent: 1, session: 12},   // orphan of that session
		{pid: 14, parent: 1, session: 99},   // marked orphan, its session's leader ended
		{pid: 15, parent: 1, session: 99},   // unmarked in that session
		{pid: 20, parent: 1, session: 20},   // a person's shell
		{pid: 21, parent: 20, session: 20},  // marked: somebody copied the marks
		{pid: 22, parent: 20, session: 20},  // somebody's editor
		{pid: 23, parent: 21, session: 20},  // child of the marked one
		{pid: 30, parent: 1, session: 30},   // stranger
		{pid: 31, parent: 30, session: 300}, // stranger whose session's leader ended
	}
	leaders := map[int]bool{10: true, 11: true, 12: true, 20: true, 30: true}
	marked := map[int]bool{10: true, 14: true, 21: true}
	got := numbers(widen(all, marked, leaders))
	if want := []int{10, 11, 12, 13, 14, 15, 21, 23}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

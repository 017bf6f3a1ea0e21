package supervise

import (
	"bytes"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// process is what /proc/PID/stat says of a process.
type process struct {
	pid, parent, session int
	state                byte   // 'R', 'S', 'T' … 'Z' for one that ended and was not reaped
	start                uint64 // in ticks since boot; tells it from a later one of the same number
}

// alive is false for what has ended and only waits to be reaped.
func (p process) alive() bool { return p.state != 'Z' && p.state != 'X' }

// processes lists the machine's processes. It is no snapshot: what starts or
// moves meanwhile may be missing, or have a parent that is.
func processes() []process {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil // out of files or memory: callers look again
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	all := make([]process, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if p, ok := readProcess(pid); ok {
				all = append(all, p)
			}
		}
	}
	return all
}

// readProcess is false where there is no such process.
func readProcess(pid int) (process, bool) {
	var buf [1024]byte
	n := readSmall("/proc/"+strconv.Itoa(pid)+"/stat", buf[:])
	return parseStat(buf[:n])
}

// parseStat reads a line of proc_pid_stat(5): "pid (comm) state ppid pgrp
// session … starttime …". The command may hold spaces and parentheses.
func parseStat(line []byte) (p process, ok bool) {
	open, closing := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 1 || closing < open {
		return p, false
	}
	const state, parent, session, start = 0, 1, 3, 19
	fields := bytes.Fields(line[closing+1:])
	if len(fields) <= start {
		return p, false
	}
	p.pid, _ = strconv.Atoi(string(bytes.TrimSpace(line[:open])))
	p.state = fields[state][0]
	p.parent, _ = strconv.Atoi(string(fields[parent]))
	p.session, _ = strconv.Atoi(string(fields[session]))
	p.start, _ = strconv.ParseUint(string(fields[start]), 10, 64)
	return p, p.pid > 0
}

// readSmall reads a file of /proc into buf, without what os.File costs: in a
// storm of processes we have to be faster than they are.
func readSmall(name string, buf []byte) int {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	n, _ := unix.Read(fd, buf)
	return max(n, 0)
}

// childrenIn reads a file /proc/PID/task/TID/children. Kernels built without
// them have none to read; killAll then takes longer for some families.
func childrenIn(name string) []int {
	var buf [4096]byte
	n := readSmall(name, buf[:])
	if n == len(buf) { // the last number may be cut in two
		n = bytes.LastIndexByte(buf[:], ' ')
	}
	var pids []int
	for _, field := range bytes.Fields(buf[:n]) {
		if pid, err := strconv.Atoi(string(field)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// below lists those of all for which root says yes, and their descendants.
func below(all []process, root func(process) bool) []process {
	children := make(map[int][]process)
	var found []process
	for _, p := range all {
		if root(p) {
			found = append(found, p)
		} else {
			children[p.parent] = append(children[p.parent], p)
		}
	}
	for i := 0; i < len(found); i++ {
		parent := found[i].pid
		found = append(found, children[parent]...)
		// Once only: a list that is no snapshot may hold a number twice, and
		// be a circle.
		delete(children, parent)
	}
	return found
}

// signal signals the process, and never another that got its number (S5).
func (p process) signal(sig unix.Signal) {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err == unix.ESRCH {
		return
	}
	if err != nil { // a kernel before 5.3, or a sandbox that has no such call
		_ = unix.Kill(p.pid, sig)
		return
	}
	defer unix.Close(fd)
	if now, ok := readProcess(p.pid); ok && now.start == p.start {
		_ = unix.PidfdSendSignal(fd, sig, nil, 0)
	}
}

// identity tells processes apart, also those that had the same number.
type identity struct {
	pid   int
	start uint64
}

// frozenSet remembers who was frozen.
type frozenSet map[identity]bool

// freeze stops all that find finds until no new one turns up, so that none can
// start another, or notice the death of the others, while they are killed. It
// returns whom it found last.
func (frozen frozenSet) freeze(find func() []process) []process {
	const passes = 16 // a bound, for those that wake each other; they are killed all the same
	var all []process
	for range passes {
		all = find()
		fresh := false
		for _, p := range all {
			if id := (identity{p.pid, p.start}); p.alive() && !frozen[id] {
				p.signal(unix.SIGSTOP)
				frozen[id], fresh = true, true
			}
		}
		if !fresh {
			break
		}
	}
	return all
}

func killEach(all []process) {
	for _, p := range all {
		if p.alive() {
			p.signal(unix.SIGKILL)
		}
	}
}

func pids(all []process) []int {
	var list []int
	for _, p := range all {
		if p.alive() {
			list = append(list, p.pid)
		}
	}
	slices.Sort(list)
	return list
}

package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/cullet-vision/cullet"
)

// Subcommand is the hidden first argument with which the binary must call Main.
const Subcommand = "supervise"

// MaxLineBytes is how much of one line of a trainer's output is kept.
const MaxLineBytes = 1 << 20

// The variables that mark every process of a training. They are found again in
// /proc/*/environ after the supervisor and the worker are gone; see KillMarked.
const (
	EnvTraining = "CULLET_TRAINING"       // Spec.ID
	EnvToken    = "CULLET_TRAINING_TOKEN" // Spec.Token
)

// clock is the machine's own: real processes cannot be put on another.
var clock cullet.SystemClock

// Spec says what to run, and for how long it may run unattended.
type Spec struct {
	ID    string // of the training; for people who look at the processes
	Token string // of the claim: unique to this run, kept by whoever may call KillMarked. Empty: a random one
	// Command is the program, looked up in the PATH of Env unless it has a
	// slash, and its arguments.
	Command   []string
	Dir       string        // where it runs, and what a relative program is relative to; empty: the worker's
	Env       []string      // all of its environment but the marks, as "NAME=value"; nil means none
	Lease     time.Duration // how long it may run without a renewal
	LeaseAge  time.Duration // how long ago the first lease was taken; see Process.Renew
	StopGrace time.Duration // how long it may take to end after Stop; zero: it is killed at once
}

// check says what is wrong with the spec.
func (s Spec) check() error {
	switch {
	case len(s.Command) == 0 || s.Command[0] == "":
		return errors.New("the trainer has no command")
	case s.Lease <= 0:
		return errors.New("the lease must be longer than zero")
	case strings.ContainsRune(s.ID+s.Token, 0):
		return errors.New("the training's id or token has a zero byte")
	}
	return nil
}

// marks are the variables that mark the processes of this run.
func (s Spec) marks() []string {
	return []string{EnvTraining + "=" + s.ID, EnvToken + "=" + s.Token}
}

// trainerEnv is Env with the marks, and with none but ours.
func (s Spec) trainerEnv() []string {
	env := make([]string, 0, len(s.Env)+2)
	for _, entry := range s.Env {
		if name, _, _ := strings.Cut(entry, "="); name != EnvTraining && name != EnvToken {
			env = append(env, entry)
		}
	}
	return append(env, s.marks()...)
}

// supervisorEnv is what the supervisor needs: the trainer's PATH to find the
// program in, and the marks, so that a frozen supervisor is found too.
func (s Spec) supervisorEnv() []string {
	env := s.marks()
	for _, entry := range s.Env {
		if strings.HasPrefix(entry, "PATH=") {
			env = append(env, entry)
		}
	}
	return env
}

// Kind is what an Event tells.
type Kind string

// The kinds of events, in the order they come: Started, any number of the
// others, Exited.
const (
	Started   Kind = "started"   // PID
	Metrics   Kind = "metrics"   // a line of stdout that is a JSON object: Metrics
	Log       Kind = "log"       // any other line of output: Line, Stream, Cut
	Lingering Kind = "lingering" // processes that 5 s of killing did not end: Left; told again every 5 s
	Exited    Kind = "exited"    // nothing of the training is left: Exit
)

// Stream is where a line of output came from.
type Stream string

// The streams of a trainer.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Event is one thing that happened to a training.
type Event struct {
	Kind    Kind            `json:"kind"`
	PID     int             `json:"pid,omitempty"`     // of the trainer, also its process group
	Metrics json.RawMessage `json:"metrics,omitempty"` // a valid JSON object, compacted
	// Line has no line break and is valid UTF-8. Of a line that was overwritten
	// with carriage returns (a progress bar) it is what a terminal would show.
	Line   string `json:"line,omitempty"`
	Stream Stream `json:"stream,omitempty"`
	Cut    bool   `json:"cut,omitempty"`  // the line was longer than MaxLineBytes
	Left   []int  `json:"left,omitempty"` // process numbers
	Exit   *Exit  `json:"exit,omitempty"`
}

// Why says what ended a training.
type Why string

// The ways a training ends; the package's comment says who kills whom.
const (
	WhyExited     Why = "exited"      // by itself, unasked
	WhyStopped    Why = "stopped"     // after Stop: by itself, or killed after the grace (Forced)
	WhyKilled     Why = "killed"      // by Kill
	WhyLease      Why = "lease"       // no renewal within the lease
	WhyPipeClosed Why = "pipe-closed" // the worker is gone; only a worker that closed the pipe reads this
	WhyNotStarted Why = "not-started" // Start returns it as an error
	WhyLost       Why = "lost"        // the supervisor ended without a word; nothing marked is left
)

// Exit is how a training ended. Whether it left a model is the caller's to see:
// Code 0 (after Stop: not Forced) and files in its output.
type Exit struct {
	Why    Why    `json:"why"`
	Code   int    `json:"code"`             // of the trainer; -1: a signal ended it, or nobody knows
	Signal int    `json:"signal,omitempty"` // that ended the trainer, 0: none
	Forced bool   `json:"forced,omitempty"` // it had to be killed
	Error  string `json:"error,omitempty"`  // what went wrong besides, for people
}

// String says it for people.
func (e Exit) String() string {
	how := fmt.Sprintf("exit status %d", e.Code)
	switch {
	case e.Signal != 0:
		how = fmt.Sprintf("signal %d (%v)", e.Signal, syscall.Signal(e.Signal))
	case e.Code < 0:
		how = "exit status unknown"
	}
	if e.Error != "" {
		how += ": " + e.Error
	}
	return string(e.Why) + ", " + how
}

// launch is the first line from a worker to its supervisor.
type launch struct {
	Spec
	LeaseTaken time.Duration // on bootTime's clock
}

// order is every further line.
type order struct {
	Op         string        `json:"op"`
	LeaseTaken time.Duration `json:"leaseTaken,omitempty"` // opRenew: on bootTime's clock
}

const (
	opRenew = "renew"
	opStop  = "stop"
	opKill  = "kill"
)

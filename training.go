package cullet

import (
	"slices"
	"time"
)

// TrainingState is where a training is in its life.
//
//	queued ──▶ starting ──▶ running ──▶ finished
//	   ▲           │           │  └──▶ stopping ──▶ stopped
//	   └── lost ───┴───────────┘         │
//	all of these ──▶ cancelled | failed ◀┘
type TrainingState string

// The states of a training.
const (
	TrainQueued    TrainingState = "queued"
	TrainStarting  TrainingState = "starting"
	TrainRunning   TrainingState = "running"
	TrainStopping  TrainingState = "stopping" // told to stop early and keep the best model
	TrainFinished  TrainingState = "finished"
	TrainStopped   TrainingState = "stopped"
	TrainCancelled TrainingState = "cancelled"
	TrainFailed    TrainingState = "failed"
)

// TrainingEvent is what moves a training on.
type TrainingEvent string

// The events of a training.
const (
	TrainClaim  TrainingEvent = "claim"  // a worker took it
	TrainBegin  TrainingEvent = "begin"  // its process runs
	TrainStop   TrainingEvent = "stop"   // end early, keep the model
	TrainCancel TrainingEvent = "cancel" // end now, no model; deletion does this too (D4)
	TrainFinish TrainingEvent = "finish" // the process ended well
	TrainFail   TrainingEvent = "fail"   // the process did not
	TrainLose   TrainingEvent = "lose"   // its worker gave no sign for a lease
)

// TrainingStates lists all states.
func TrainingStates() []TrainingState {
	return []TrainingState{TrainQueued, TrainStarting, TrainRunning, TrainStopping,
		TrainFinished, TrainStopped, TrainCancelled, TrainFailed}
}

// TrainingEvents lists all events.
func TrainingEvents() []TrainingEvent {
	return []TrainingEvent{TrainClaim, TrainBegin, TrainStop, TrainCancel, TrainFinish, TrainFail, TrainLose}
}

var trainingMoves = map[TrainingState]map[TrainingEvent]TrainingState{
	TrainQueued: {TrainClaim: TrainStarting, TrainStop: TrainCancelled, TrainCancel: TrainCancelled,
		TrainFail: TrainFailed},
	TrainStarting: {TrainBegin: TrainRunning, TrainStop: TrainStopping, TrainCancel: TrainCancelled,
		TrainFail: TrainFailed, TrainLose: TrainQueued},
	TrainRunning: {TrainStop: TrainStopping, TrainCancel: TrainCancelled, TrainFinish: TrainFinished,
		TrainFail: TrainFailed, TrainLose: TrainQueued},
	TrainStopping: {TrainBegin: TrainStopping, TrainStop: TrainStopping, TrainCancel: TrainCancelled,
		TrainFinish: TrainStopped, TrainFail: TrainFailed, TrainLose: TrainFailed},
}

// NextTraining is the state after the event, or a conflict where there is none:
// what has ended stays as it ended.
func NextTraining(s TrainingState, e TrainingEvent) (TrainingState, error) {
	if next, ok := trainingMoves[s][e]; ok {
		return next, nil
	}
	return s, E(Conflict, "a training that is %s cannot %s", s, e)
}

// Ended says whether nothing can happen to the training any more.
func (s TrainingState) Ended() bool { return len(trainingMoves[s]) == 0 }

// InFlight lists the states of a training that has not ended: those that a
// deletion cancels (D4).
func InFlight() []TrainingState {
	return slices.DeleteFunc(TrainingStates(), TrainingState.Ended)
}

// The lease of a worker on a training, and how often it is renewed (D4).
const (
	LeaseTime      = 10 * time.Second
	LeaseHeartbeat = 2 * time.Second
)

// Training is one run of a trainer on a version.
type Training struct {
	ID            string
	Workspace     string
	Project       string
	ProjectSlug   string
	Version       string
	VersionNumber int64
	ModelType     string
	Trainer       string // name of the trainer that takes it
	State         TrainingState
	Detail        string // why it ended as it did, in words
	Recipe        string // JSON object that the trainer gets
	Epochs        int64  // that were asked for, 0: the trainer's default
	Rate          int64  // micro-credits per hour
	Worker        string // that holds the lease
	Token         string // of the claim; a worker that lost it can write nothing any more
	LeaseUntil    time.Time
	Retry         int64   // how often it is begun again when its worker is lost: its trainer's when it was asked for
	Attempt       int64   // 1 for the first worker that took it, grows when one is lost
	Epoch         int64   // last reported
	Progress      float64 // 0 to 1, last reported
	CreatedAt     time.Time
	CreatedBy     string
	StartedAt     time.Time // zero: not yet
	EndedAt       time.Time // zero: not yet
	MicroCredits  int64     // charged so far
}

// Metric is one line that a trainer reported.
type Metric struct {
	Training string
	Seq      int64
	At       time.Time
	Body     string // JSON object
}

// Interval is a stretch of time under one lease, and what it costs. It is opened
// once, renewed by heartbeats and closed once: to the closing instant, or to
// the last heartbeat of a worker that was lost.
type Interval struct {
	ID           string
	Workspace    string
	Training     string
	OpenedAt     time.Time
	RenewedAt    time.Time
	ClosedAt     time.Time // zero: open
	Rate         int64     // micro-credits per hour
	MicroCredits int64
}

// Charge is what an interval costs, in micro-credits, rounded down. A clock that
// went back charges nothing.
func Charge(opened, until time.Time, rate int64) int64 {
	d := until.Sub(opened)
	if d <= 0 {
		return 0
	}
	// Split, so that a year at a high rate does not overflow.
	h, rest := int64(d/time.Hour), int64(d%time.Hour)
	return h*rate + int64(float64(rest)/float64(time.Hour)*float64(rate))
}

// Model is what a finished training left.
type Model struct {
	ID        string
	Workspace string
	Project   string
	Version   string
	Training  string
	Slug      string // unique in the workspace
	Type      string
	Metrics   string // JSON object
	Files     []ModelFile
	CreatedAt time.Time
}

// ModelFile is one file of a model's weights.
type ModelFile struct {
	Name  string
	Blob  string
	Bytes int64
}

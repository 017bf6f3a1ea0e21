package cullet

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Topic is what a notice tells of, as webhooks name it.
type Topic string

// The topics (C10). TopicPing is a webhook's own test.
const (
	TopicMoved             Topic = "trash.moved"
	TopicRestored          Topic = "trash.restored"
	TopicDueSoon           Topic = "trash.due_soon"
	TopicPurgeStarted      Topic = "trash.purge_started"
	TopicPurged            Topic = "trash.purged"
	TopicHeld              Topic = "trash.held"
	TopicTrainingQueued    Topic = "training.queued"
	TopicTrainingFinished  Topic = "training.finished"
	TopicTrainingFailed    Topic = "training.failed"
	TopicTrainingCancelled Topic = "training.cancelled"
	TopicVersionGenerated  Topic = "version.generated"
	TopicVersionFailed     Topic = "version.failed"
	TopicPing              Topic = "ping"
)

// actTopics says which acts of the audit people can be told of.
var actTopics = map[Act]Topic{
	ActDelete:     TopicMoved,
	ActRestore:    TopicRestored,
	ActPurgeBegan: TopicPurgeStarted,
	ActPurged:     TopicPurged,
	ActHold:       TopicHeld,
}

// endTopics says which ends of a training people can be told of. One that was told
// to stop and kept its best model has finished.
var endTopics = map[TrainingState]Topic{
	TrainQueued:    TopicTrainingQueued,
	TrainFinished:  TopicTrainingFinished,
	TrainStopped:   TopicTrainingFinished,
	TrainFailed:    TopicTrainingFailed,
	TrainCancelled: TopicTrainingCancelled,
}

// Choices lists what a webhook can ask for, in the order in which people choose: a
// topic, or all of a kind.
func Choices() []string {
	return []string{string(TopicMoved), string(TopicRestored), string(TopicDueSoon), string(TopicPurgeStarted),
		string(TopicPurged), string(TopicHeld), "training.*", "version.*"}
}

// Wanted says whether one of the choices covers the topic.
func (t Topic) Wanted(choices []string) bool {
	return slices.ContainsFunc(choices, func(c string) bool {
		kind, all := strings.CutSuffix(c, "*")
		return c == string(t) || all && kind != "" && strings.HasPrefix(string(t), kind)
	})
}

// Notice is one thing that happened, for those who asked to be told (C10). It is
// written down in the transaction that causes it.
type Notice struct {
	Topic     Topic
	Workspace string
	At        time.Time
	ItemType  string // project, version, training …
	ItemID    string // of the trash item, or of the thing itself where it is in no Trash
	ItemName  string
	Target    string // internal id of the thing; notices of one thing are told in their order
	By        string // who did it, as the audit names them; "" for the server
	Means     Means
	Detail    map[string]string
}

// NoticeOf is what people are told of an act that the audit keeps, if anything.
func NoticeOf(e AuditEntry) (Notice, bool) {
	topic, told := actTopics[e.Act]
	if !told {
		return Notice{}, false
	}
	n := Notice{Topic: topic, Workspace: e.Workspace, ItemType: e.ItemType, ItemID: e.ItemID, ItemName: e.ItemName,
		Target: e.Detail["target"], By: e.ActorName, Means: e.Means, Detail: map[string]string{}}
	for name, value := range e.Detail {
		if name != "target" {
			n.Detail[name] = value
		}
	}
	return n, true
}

// NoticeOfTraining is what people are told of a training that came into the state,
// if anything.
func NoticeOfTraining(t Training, now TrainingState, detail string) (Notice, bool) {
	topic, told := endTopics[now]
	if !told {
		return Notice{}, false
	}
	n := Notice{Topic: topic, Workspace: t.Workspace, ItemType: string(TrashTraining), ItemID: t.ID, ItemName: t.ModelType, Target: t.ID, Detail: map[string]string{}}
	for name, value := range map[string]string{"project": t.Project, "version": t.Version, "state": string(now), "reason": detail} {
		if value != "" {
			n.Detail[name] = value
		}
	}
	return n, true
}

// Webhook is an address that a workspace's notices are sent to.
type Webhook struct {
	ID            string
	Workspace     string
	URL           string
	Secret        string   // what its deliveries are signed with; shown once
	Choices       []string // what it asked for
	CreatedBy     string   // person
	CreatedByName string
	CreatedAt     time.Time
	DisabledAt    time.Time // zero: it works
}

// DeliveryState is where a delivery is on its way.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryWaiting DeliveryState = "waiting"
	DeliveryDone    DeliveryState = "delivered"
	DeliveryGivenUp DeliveryState = "given-up"
)

// Delivery is one notice on its way to one webhook. Its id stays the same over all
// tries.
type Delivery struct {
	ID      string
	Webhook string
	Seq     int64 // place in the webhook's order
	Notice  Notice
	State   DeliveryState
	Tries   int64
	FirstAt time.Time // of the first try since it was last begun, zero: none yet
	NextAt  time.Time // of the next try
	DoneAt  time.Time // of the last try
	Status  int64     // HTTP status of the last answer, 0: there was none
	Took    time.Duration
	Answer  string // beginning of the last answer's body
	Problem string // why the last try failed
}

// Warnings is how a workspace wants to be warned before cleanup (C10).
type Warnings struct {
	Days  []int64 // before the date, most first; empty: not at all
	Email bool    // administrators and owners get mail, where the operator set it up
}

// DefaultWarnings warn 7 days and 1 day before.
func DefaultWarnings() Warnings { return Warnings{Days: []int64{7, 1}, Email: true} }

// maxWarnDays is how long before its date an item is warned of at most, and
// maxWarnSteps how often.
const (
	maxWarnDays  = 365
	maxWarnSteps = 10
)

// Check refuses days that are none, and puts them in order.
func (w *Warnings) Check() error {
	for _, d := range w.Days {
		if d < 1 || d > maxWarnDays {
			return E(Invalid, "people are warned between 1 and %d days before cleanup; %d is not", maxWarnDays, d)
		}
	}
	days := slices.Clone(w.Days)
	slices.Sort(days)
	days = slices.Compact(days)
	slices.Reverse(days)
	if len(days) > maxWarnSteps {
		return E(Invalid, "an item is warned of %d times at most; these are %d", maxWarnSteps, len(days))
	}
	w.Days = days
	return nil
}

// Words says when and how people are warned: "7 and 1 days before, also by mail".
func (w Warnings) Words() string {
	var words strings.Builder
	for n, d := range w.Days {
		switch {
		case n == 0:
		case n == len(w.Days)-1:
			words.WriteString(" and ")
		default:
			words.WriteString(", ")
		}
		fmt.Fprint(&words, d)
	}
	switch {
	case len(w.Days) == 0:
		return "not at all"
	case len(w.Days) == 1 && w.Days[0] == 1:
		words.WriteString(" day before")
	default:
		words.WriteString(" days before")
	}
	if w.Email {
		words.WriteString(", also by mail")
	}
	return words.String()
}

// Step is the nearest of the steps that have come for an item with that long left,
// in days; 0: none has.
func (w Warnings) Step(left time.Duration) (step int64) {
	for _, d := range w.Days {
		if left <= time.Duration(d)*24*time.Hour && (step == 0 || d < step) {
			step = d
		}
	}
	return step
}

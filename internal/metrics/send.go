package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/job"
	"github.com/cullet-vision/cullet/internal/store"
)

var descriptions []*prometheus.Desc

// describe declares one of the reader's gauges.
func describe(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("cullet_"+name, help, labels, nil)
	descriptions = append(descriptions, d)
	return d
}

var (
	readOK   = describe("database_read_ok", "1 where the numbers of the database could be read for this scrape, 0 where they are missing from it.")
	readTook = describe("database_read_duration_seconds", "How long it took to read the numbers of the database. They are kept for 10 seconds, or 20 times as long as this.")

	trashItems = describe("trash_items", "Items in Trash. Each has one state: trashed, held (itself or by what lies below it), purging, "+
		"or problem (its permanent deletion met a problem and is tried again).", "workspace", "type", "state")
	trashBytes   = describe("trash_bytes", "Logical bytes of the items in Trash, shared or not.", "workspace", "type")
	trashOverdue = describe("trash_overdue_seconds", "How long the item that is overdue most has been due, begun with or not; neither held nor waiting for the clock. 0: none is.", "workspace")

	cleanupWaiting = describe("cleanup_waiting", "1 while cleanup waits in the workspace because the clock jumped, the server was off or it was restored from a backup.", "workspace")
	waitingItems   = describe("cleanup_waiting_items", "Items whose date came meanwhile, which cleanup does not touch before the wait is over or lifted.", "workspace")
	lastLook       = describe("cleanup_last_look_timestamp_seconds", "When cleanup last looked for what is due, by any of the servers. 0: never.")

	purgeItems = describe("purge_items", "Items whose permanent deletion has begun, by cleanup or by a person's order; what goes along with one is not counted.", "workspace", "by")
	purgeRows  = describe("purge_rows_done", "Rows removed so far of the items that are being deleted permanently.", "workspace", "by")
	purgeOf    = describe("purge_rows_expected", "Rows that there were of them before. Known for orders alone.", "workspace", "by")
	purgeBytes = describe("purge_freed_bytes", "Bytes of files removed so far of the items that are being deleted permanently.", "workspace", "by")

	unlinkFiles    = describe("unlink_files", "Files whose rows are gone and which are still to be removed.")
	unlinkBytes    = describe("unlink_bytes", "Their bytes.")
	unlinkProblems = describe("unlink_problems", "Of these files, those that could not be removed and are tried again.")
	backupRunning  = describe("backup_running", "1 while a backup is under way: no file is removed before it ends.")

	trainings   = describe("trainings", "Trainings in flight.", "state")
	queueOldest = describe("training_queue_oldest_seconds", "How long the training that waits longest has been queued. 0: none is.")
	jobs        = describe("jobs", "Generations, exports and rescues: available (waiting), running, retryable (failed and tried again), discarded (failed for good within the last 7 days).", "state")
)

// sender sends gauges.
type sender struct{ to chan<- prometheus.Metric }

func (s sender) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (n *numbers) send(s sender) {
	for _, t := range n.trash {
		n.sendTrash(s, t)
		sendPurge(s, t.Workspace, "cleanup", t.Cleanup)
		sendPurge(s, t.Workspace, "order", t.Ordered)
		s.gauge(purgeOf, float64(t.Ordered.Expected), t.Workspace, "order")
	}
	s.gauge(lastLook, unix(n.watch.SeenAt))
	s.gauge(unlinkFiles, float64(n.unlinks.Files))
	s.gauge(unlinkBytes, float64(n.unlinks.Bytes))
	s.gauge(unlinkProblems, float64(n.unlinks.Problems))
	s.gauge(backupRunning, flag(n.backup))
	n.sendWork(s)
}

func (n *numbers) sendTrash(s sender, t store.TrashStatus) {
	for _, typ := range cullet.TrashableTypes() {
		for _, standing := range store.Standings() {
			s.gauge(trashItems, float64(t.Items[typ][standing]), t.Workspace, string(typ), string(standing))
		}
		s.gauge(trashBytes, float64(t.Total[typ].Bytes), t.Workspace, string(typ))
	}
	s.gauge(trashOverdue, n.since(t.DueSince), t.Workspace)
	s.gauge(cleanupWaiting, flag(t.Waits), t.Workspace)
	s.gauge(waitingItems, float64(t.Waiting), t.Workspace)
}

func sendPurge(s sender, workspace, by string, p store.PurgeStatus) {
	s.gauge(purgeItems, float64(p.Items), workspace, by)
	s.gauge(purgeRows, float64(p.Rows), workspace, by)
	s.gauge(purgeBytes, float64(p.Bytes), workspace, by)
}

// sendWork sends trainings and jobs, each state also where nothing is in it.
func (n *numbers) sendWork(s sender) {
	by := map[cullet.TrainingState]store.QueueStatus{}
	for _, q := range n.queue {
		by[q.State] = q
	}
	for _, state := range cullet.InFlight() {
		s.gauge(trainings, float64(by[state].Number), string(state))
	}
	s.gauge(queueOldest, n.since(by[cullet.TrainQueued].Oldest))
	for _, state := range job.States() {
		s.gauge(jobs, float64(n.jobs[state]), state)
	}
}

// since is how long ago something was when the numbers were read, 0 where it never was.
func (n *numbers) since(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return max(0, n.at.Sub(t).Seconds())
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMicro()) / 1e6
}

func flag(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

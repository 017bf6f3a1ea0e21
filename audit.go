package cullet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Act is what was done, as the audit names it.
type Act string

// The acts that the audit keeps (A1).
const (
	ActDelete          Act = "delete"
	ActRestore         Act = "restore"
	ActPurgeOrdered    Act = "purge-ordered"   // a person confirmed the dialog
	ActPurgeStopped    Act = "purge-stopped"   // a person called it off
	ActPurgeBegan      Act = "purge-began"     // trashed -> purging
	ActPurged          Act = "purged"          // purging -> gone
	ActPurgeRefused    Act = "purge-refused"   // a request that could not purge (P2)
	ActPurgeProblem    Act = "purge-problem"   // in doubt, kept (C11)
	ActTrashRefused    Act = "trash-refused"   // a forged or foreign request aimed at Trash
	ActKeyCreated      Act = "key-created"     //
	ActKeyUpdated      Act = "key-updated"     //
	ActKeyRevoked      Act = "key-revoked"     //
	ActRetention       Act = "retention"       //
	ActWarnings        Act = "warnings"        // how people are warned before cleanup (C10)
	ActRescue          Act = "rescue"          // many restores as one operation
	ActHold            Act = "hold"            // C8
	ActRelease         Act = "release"         //
	ActPostpone        Act = "postpone"        //
	ActProtect         Act = "protect"         // purge protection was switched on (C9)
	ActUnprotect       Act = "unprotect"       // its lifting was asked for
	ActKeepProtection  Act = "keep-protection" // its lifting was called off
	ActClockWait       Act = "clock-wait"      // cleanup began to wait (C6)
	ActClockLift       Act = "clock-lift"      // a person lifted the wait
	ActMember          Act = "member"          //
	ActWorkspace       Act = "workspace"       //
	ActSignInRefused   Act = "sign-in-refused" //
	ActTrainingCancel  Act = "training-cancelled"
	ActWorkspaceOpened Act = "workspace-created"
	ActWebhookCreated  Act = "webhook-created"
	ActWebhookChanged  Act = "webhook-changed"
	ActWebhookRemoved  Act = "webhook-removed"
	ActWebhookTested   Act = "webhook-tested"
	ActWebhookRetried  Act = "webhook-retried" // a delivery is tried again
	ActRestoredBackup  Act = "restored-backup" // what follows is a copy's own history; the original may go on
)

// AuditEntry is one line of the workspace's append-only audit (A1). Each entry
// is chained to the one before by a hash, so that a line changed, taken out or
// put in breaks the chain from there on.
type AuditEntry struct {
	Workspace string
	Seq       int64 // 1, 2, 3 … without a gap
	At        time.Time
	ActorID   string
	ActorName string
	Means     Means
	Address   string
	Request   string
	Act       Act
	ItemType  string // project, version, … or "" where the act has no item
	ItemID    string
	ItemName  string
	Result    string // "ok", or why it was refused
	Detail    map[string]string
	Prev      string // hash of the entry before, "" for the first
	Hash      string
}

// Chained is what the entry's hash is over: the JSON array of its fields in the order of
// the struct, times in microseconds since 1970, the detail as a JSON object with sorted
// keys, and the hash of the entry before as the last element.
func (e AuditEntry) Chained() string {
	detail := e.Detail
	if detail == nil {
		detail = map[string]string{}
	}
	b, err := json.Marshal([]any{
		e.Workspace, e.Seq, e.At.UnixMicro(), e.ActorID, e.ActorName, e.Means, e.Address, e.Request,
		e.Act, e.ItemType, e.ItemID, e.ItemName, e.Result, detail, e.Prev,
	})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return string(b)
}

// ChainHash is the hash that an entry must carry: SHA-256, in hexadecimal, over Chained.
func (e AuditEntry) ChainHash() string {
	sum := sha256.Sum256([]byte(e.Chained()))
	return hex.EncodeToString(sum[:])
}

package main

// guard is a piece of code that keeps a rule, how it is broken, and the tests that have
// to notice.
type guard struct {
	rule  string
	what  string
	edits []edit
	pkg   string
	run   string
	where string // "postgres": only there the guard is needed, since SQLite has one writer; "": SQLite is enough
}

type edit struct{ file, old, new string }

const (
	deleteGo  = "internal/trash/delete.go"
	restoreGo = "internal/trash/restore.go"
	keepGo    = "internal/trash/keep.go"
	storeDB   = "internal/store/db.go"
	storeT    = "internal/store/trash.go"
	storeP    = "internal/store/purge.go"
	first     = "internal/store/migrations/0001_first.sql"
	engine    = "internal/purge/engine.go"
)

// guards lists at least one guard of each rule that docs/trash.md says is kept.
var guards = []guard{
	{"D1", "a failed deletion is rolled back", []edit{
		{storeDB, "t, err := pool.BeginTx(ctx, opts)", "t, err := pool.BeginTx(context.WithoutCancel(ctx), opts)"},
		{storeDB, "if err := fn(tx); err != nil {\n\t\t_ = t.Rollback()", "if err := fn(tx); err != nil {\n\t\t_ = t.Commit()"},
	}, "./internal/trash", "TestD1", ""},
	{"D2", "no image is written", []edit{
		{storeT, "return tx.execOne(ctx, `UPDATE projects SET trash_item_id = $2 WHERE id = $1 AND trash_item_id IS NULL`, id, item)",
			"if _, err := tx.exec(ctx, `UPDATE images SET name = name WHERE project_id = $1`, id); err != nil {\n\t\treturn err\n\t}\n\treturn tx.execOne(ctx, `UPDATE projects SET trash_item_id = $2 WHERE id = $1 AND trash_item_id IS NULL`, id, item)"},
	}, "./internal/trash", "TestD2", ""},
	{"D3", "the view of active images hides those of trashed projects", []edit{
		{first, "WHERE i.trash_item_id IS NULL AND p.trash_item_id IS NULL;", "WHERE i.trash_item_id IS NULL;"},
	}, "./internal/trash", "TestD3", ""},
	{"D4", "a deletion cancels what is in flight below", []edit{
		{deleteGo, "if t.Contents.Cancelled, err = tx.CancelBelow(ctx, project, version, detail); err != nil {", "if _ = detail; err != nil {"},
	}, "./internal/trash", "TestD4", ""},
	{"D6", "the next number is one that never was", []edit{
		{"internal/store/project.go", "SET next_version = next_version + 1, versions", "SET next_version = versions + 2, versions"},
	}, "./internal/trash", "TestD6", ""},
	{"D7", "slugs of what is in Trash are not taken", []edit{
		{"internal/store/project.go", `cullet.TrashProject: "active_projects"`, `cullet.TrashProject: "projects"`},
	}, "./internal/trash", "TestD7", ""},
	{"D8", "what is in Trash is not found to be deleted again", []edit{
		{first, "SELECT w.* FROM workflows w WHERE w.trash_item_id IS NULL;", "SELECT w.* FROM workflows w;"},
		{"internal/store/lock.go", "SELECT id FROM workflows WHERE id = $1 AND trash_item_id IS NULL", "SELECT id FROM workflows WHERE id = $1"},
		{storeT, "UPDATE workflows SET trash_item_id = $2 WHERE id = $1 AND trash_item_id IS NULL`", "UPDATE workflows SET trash_item_id = $2 WHERE id = $1`"},
	}, "./internal/trash", "TestD8", ""},
	{"D9", "the Trash counts its bytes", []edit{
		{storeT, "t.Workspace, t.Type, n, n*t.Contents.Bytes)", "t.Workspace, t.Type, n, 0)"},
	}, "./internal/trash", "TestD9", ""},

	{"R1", "a project comes back into its folder", []edit{
		{restoreGo, "contradicts(tx.ShowProject(ctx, t, r.Slug, folder), t)", `contradicts(tx.ShowProject(ctx, t, r.Slug, folder[:0]), t)`},
	}, "./internal/trash", "TestR4", ""},
	{"R2", "a version needs its project", []edit{
		{restoreGo, "return &cullet.ParentTrashed{Type: cullet.TrashProject, ItemID: t.ParentItem, ID: t.Project, Name: t.ProjectSlug}", "return nil"},
	}, "./internal/trash", "TestR2", ""},
	{"R3", "a slug that was taken is seen", []edit{
		{restoreGo, "return taken(ctx, tx, t, r.Slug, other.ID)\n\t} else if !errors", "_ = other\n\t} else if !errors"},
	}, "./internal/trash", "TestD7", ""},
	{"R4", "a folder that is gone is said", []edit{
		{restoreGo, `r.AtRoot, r.FolderName, folder = true, t.Contents.FolderName, "" // R4`, `folder = ""`},
	}, "./internal/trash", "TestR4", ""},
	{"R5", "what is being purged is not restored", []edit{
		{restoreGo, "if t.State == cullet.Purging {", "if t.State == \"\" {"},
		{restoreGo, "if _, err := cullet.NextTrash(t.State, cullet.EventRestore); err != nil {", "if t.State == \"\" {\n\t\t\terr = nil"},
		{storeT, "DELETE FROM trash_items WHERE id = $1 AND state = $2`, t.ID, cullet.Trashed)", "DELETE FROM trash_items WHERE id = $1 AND $2 <> ''`, t.ID, cullet.Trashed)"},
	}, "./internal/purge", "TestR5", ""},
	{"R6", "who restores looks again once the root is locked", []edit{
		{restoreGo, "if t, err = find(tx); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tif t.State", "if t.State"},
	}, "./internal/trash", "TestR6", "postgres"},
	{"R7", "what has an active parent comes first", []edit{
		{"internal/trash/list.go", "return cmp.Compare(btoi(", "return 0 * cmp.Compare(btoi("},
	}, "./internal/trash", "TestR7", ""},

	{"C1", "the date is looked at in the statement that begins", []edit{
		{engine, "tx.BeginDue(ctx, t, watch.DueBy(w.LiftedWait))", "tx.BeginDue(ctx, t, watch.DueBy(w.LiftedWait).Add(time.Second))"},
		{storeP, "cullet.Trashed, micros(tx.Now), micros(w.DueBy(\"\"))", "cullet.Trashed, micros(tx.Now), micros(w.DueBy(\"\").Add(time.Second))"},
	}, "./internal/purge", "TestC1", ""},
	{"C2", "the loop looks for what is due", []edit{
		{engine, "e.due = now.Add(e.Interval)\n\treturn e.BeginDue(ctx)", "e.due = now.Add(e.Interval)\n\treturn nil"},
	}, "./internal/purge", "TestC6JumpAhead", ""},
	{"C3", "a batch begins with a lease that nobody else holds", []edit{
		{storeP, "AND (t.lease_until < $2 OR t.lease_until > $5 OR t.lease_owner = $3) ORDER", "AND (t.lease_until < $2 OR t.lease_until > $5 OR $3 <> '') ORDER"},
		{storeP, "AND (lease_owner = $2 OR lease_until < $4 OR lease_until > $3)`", "AND (lease_owner <> $2 OR lease_until < $4 OR lease_until > $3 OR true)`"},
	}, "./internal/purge", "TestC3", ""},
	{"C4", "the collector knows every reference to bytes", []edit{
		{storeP, `{"images", "blob_id"}, {"images", "thumb_id"}, {"version_images", "blob_id"},`, `{"images", "blob_id"}, {"images", "thumb_id"},`},
	}, "./internal/store", "TestC4", ""},
	{"C5", "what the rows referred to is looked at by the collector", []edit{
		{storeP, "return int64(len(freed)), tx.letGo(ctx, t.ID, ids)", "return int64(len(freed)), tx.letGo(ctx, t.ID, ids[:0])"},
	}, "./internal/purge", "TestC5", ""},
	{"C6", "a gap between two looks begins a wait", []edit{
		{"watch.go", "next.SeenAt.Sub(w.SeenAt) > most", "next.SeenAt.Sub(w.SeenAt) > 1<<62"},
	}, "./internal/purge", "TestC6", ""},
	{"C6", "a restored backup begins with a wait", []edit{
		{"internal/backup/restore.go", "errors.Join(tx.WaitAfterRestore(ctx, grace), tx.CountAnew(ctx))", "errors.Join(nil, tx.CountAnew(ctx))"},
	}, "./cmd/cullet", "TestC6", ""},
	{"C7", "no earlier date", []edit{
		{keepGo, "case !at.After(t.EffectiveAt):", "case at.IsZero():"},
	}, "./internal/purge", "TestC7", ""},
	{"C8", "no purge begins on what is held, or above it", []edit{
		{storeP, "const notHeld = `t.held_at = 0 AND NOT ` + heldBelow", "const notHeld = `t.held_at >= 0 OR NOT ` + heldBelow"},
	}, "./internal/purge", "TestC8", ""},
	{"C8", "a released item stays a day", []edit{
		{keepGo, "tx.PostponeItem(ctx, t, tx.Now.Add(cullet.ReleaseFloor))", "tx.PostponeItem(ctx, t, tx.Now)"},
	}, "./internal/purge", "TestC8", ""},
	{"C9", "purge protection forbids what is not due", []edit{
		{"internal/purge/watch.go", "case w.Protection(now) && t.EffectiveAt.After(now):", "case w.Protection(now) && t.EffectiveAt.IsZero():"},
	}, "./internal/purge", "TestC9", ""},
	{"C9", "its lifting waits", []edit{
		{"watch.go", "trusted.Before(w.UnprotectAt)", "trusted.Before(w.ProtectedAt)"},
	}, "./internal/purge", "TestC9", ""},
	{"C10", "people are not warned of what is held", []edit{
		{"internal/store/warn.go", "const warnable = `t.state = 'trashed' AND ` + notHeld", "const warnable = `t.state = 'trashed'`"},
	}, "./internal/notify", "TestC10Held", ""},
	{"C11", "what contradicts itself is kept", []edit{
		{engine, "if err == nil && root != t.ID {", "if err == nil && root == \"\" && t.ID == \"\" {"},
	}, "./internal/purge", "TestC11", ""},

	{"P1", "a choice that comes to all of it is the owner's", []edit{
		{"internal/purge/plan.go", "p.Everything = c.All || left == 0 &&", "p.Everything = c.All || left < 0 &&"},
	}, "./internal/purge", "TestP1", ""},
	{"P2", "only a person with a browser session can", []edit{
		{"access.go", `return known && a.Means == ByWeb && a.Session != "" && roleRank`, `return known && roleRank`},
	}, "./internal/purge", "TestP2|TestP4Refusals", ""},
	{"P2", "the API cannot reach the purge", []edit{
		{"internal/api/api.go", `"github.com/cullet-vision/cullet/internal/dataset"`, "\"github.com/cullet-vision/cullet/internal/dataset\"\n\t_ \"github.com/cullet-vision/cullet/internal/purge\""},
	}, ".", "Import|P2", ""},
	{"P3", "progress adds up", []edit{
		{storeP, "SET done_rows = done_rows + $2", "SET done_rows = $2"},
	}, "./internal/purge", "TestP3", ""},
	{"P4", "a confirmation grows old", []edit{
		{"internal/purge/plan.go", "case !tx.Now.Before(c.ExpiresAt):", "case tx.Now.IsZero():"},
	}, "./internal/purge", "TestP4", ""},
	{"P4", "a confirmation is used once", []edit{
		{"internal/purge/plan.go", "case !c.UsedAt.IsZero():", "case c.ExpiresAt.IsZero():"},
		{storeP, "UPDATE purge_confirmations SET used_at = $2 WHERE token_hash = $1 AND used_at = 0`", "UPDATE purge_confirmations SET used_at = $2 WHERE token_hash = $1`"},
	}, "./internal/purge", "TestP4", ""},
	{"A1", "each entry carries the hash of the one before", []edit{
		{"internal/store/audit.go", "e.Seq, e.Prev = h.seq+1, h.hash", "e.Seq, e.Prev = h.seq+1, h.hash[:0]"},
	}, "./internal/trail", "TestA1", ""},
	{"A1", "a deletion is kept in the audit", []edit{
		{deleteGo, "return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActDelete,", "return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActRestore,"},
	}, "./internal/purge", "TestA1", ""},
}

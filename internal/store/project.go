package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/cullet-vision/cullet"
)

const projectColumns = `p.id, p.workspace_id, p.slug, p.name, p.type, p.multilabel, p.license, p.annotation_group, p.folder_id,
	p.created_at, c.updated_at, c.images, c.unannotated, c.annotations, c.train, c.valid, c.test, c.versions, c.bytes`

const fromActiveProjects = ` FROM active_projects p JOIN project_counts c ON c.project_id = p.id `

func scanProject(r row) (p cullet.Project, err error) {
	return p, r.Scan(&p.ID, &p.Workspace, &p.Slug, &p.Name, &p.Type, &p.Multilabel, &p.License, &p.Group, &p.Folder,
		instant{&p.CreatedAt}, instant{&p.UpdatedAt}, &p.Counts.Images, &p.Counts.Unannotated, &p.Counts.Annotations,
		&p.Counts.Train, &p.Counts.Valid, &p.Counts.Test, &p.Counts.Versions, &p.Counts.Bytes)
}

// AddProject keeps a new project. Its slug must be free among active ones.
func (tx *Tx) AddProject(ctx context.Context, p cullet.Project) error {
	_, err := tx.exec(ctx, `INSERT INTO projects (id, workspace_id, slug, name, type, multilabel, license, annotation_group, folder_id, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		p.ID, p.Workspace, p.Slug, p.Name, p.Type, p.Multilabel, p.License, p.Group, p.Folder, micros(p.CreatedAt))
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO project_counts (project_id, updated_at) VALUES ($1, $2)`, p.ID, micros(p.UpdatedAt))
	return err
}

// GetProject returns the active project with the id, or ErrNoRow.
func (tx *Tx) GetProject(ctx context.Context, id string) (cullet.Project, error) {
	return queryOne(ctx, tx, scanProject, `SELECT `+projectColumns+fromActiveProjects+`WHERE p.id = $1`, id)
}

// GetProjectBySlug returns the workspace's active project with the slug, or ErrNoRow.
func (tx *Tx) GetProjectBySlug(ctx context.Context, workspace, slug string) (cullet.Project, error) {
	return queryOne(ctx, tx, scanProject, `SELECT `+projectColumns+fromActiveProjects+`WHERE p.workspace_id = $1 AND p.slug = $2`, workspace, slug)
}

// ListProjects returns all active projects of a workspace, newest first.
func (tx *Tx) ListProjects(ctx context.Context, workspace string) ([]cullet.Project, error) {
	return queryAll(ctx, tx, scanProject, `SELECT `+projectColumns+fromActiveProjects+`WHERE p.workspace_id = $1 ORDER BY p.created_at DESC, p.id DESC`, workspace)
}

// ProjectFilter chooses projects for a page. After is the last project of the
// page before, its zero value begins.
type ProjectFilter struct {
	Name   string // a part of the name or slug
	Type   cullet.ProjectType
	Folder string
	Sort   string // name, created, images, updated
	After  cullet.Project
	Back   bool // the page before After instead, nearest first
	Limit  int
}

var projectSorts = map[string]struct {
	column string
	desc   bool
	key    func(cullet.Project) any
}{
	"name":    {"p.name", false, func(p cullet.Project) any { return p.Name }},
	"created": {"p.created_at", true, func(p cullet.Project) any { return micros(p.CreatedAt) }},
	"images":  {"c.images", true, func(p cullet.Project) any { return p.Counts.Images }},
	"updated": {"c.updated_at", true, func(p cullet.Project) any { return micros(p.UpdatedAt) }},
}

// FindProjects returns one page of active projects.
func (tx *Tx) FindProjects(ctx context.Context, workspace string, f ProjectFilter) ([]cullet.Project, error) {
	sort, ok := projectSorts[f.Sort]
	if !ok {
		sort = projectSorts["updated"]
	}
	q := newQuery(`SELECT `+projectColumns+fromActiveProjects+`WHERE p.workspace_id = $1`, workspace)
	if f.Name != "" {
		q.and(`(LOWER(p.name) LIKE ? ESCAPE '\' OR p.slug LIKE ? ESCAPE '\')`, contains(f.Name), contains(f.Name))
	}
	if f.Type != "" {
		q.and(`p.type = ?`, f.Type)
	}
	if f.Folder != "" {
		q.and(`p.folder_id = ?`, f.Folder)
	}
	q.page(sort.column, "p.id", sort.desc != f.Back, f.After.ID != "", sort.key(f.After), f.After.ID, f.Limit)
	return queryAll(ctx, tx, scanProject, q.text(), q.args...)
}

// SlugsLike lists the active slugs of a workspace that begin with the text, for
// a free one to be proposed.
func (tx *Tx) SlugsLike(ctx context.Context, t cullet.Trashable, workspace, prefix string) (map[string]bool, error) {
	view := map[cullet.Trashable]string{cullet.TrashProject: "active_projects", cullet.TrashWorkflow: "active_workflows"}[t]
	slugs, err := queryAll(ctx, tx, scanText, `SELECT slug FROM `+view+` WHERE workspace_id = $1 AND slug LIKE $2 ESCAPE '\'`,
		workspace, escapeLike(prefix)+"%")
	taken := map[string]bool{}
	for _, s := range slugs {
		taken[s] = true
	}
	return taken, err
}

// CountProject adds to a project's counters, keeps when it changed, and returns the next number in its
// order of changes. Waiting for this row is what puts changes in order.
func (tx *Tx) CountProject(ctx context.Context, id string, d cullet.ProjectCounts) (seq int64, err error) {
	return queryOne(ctx, tx, scanInt, `UPDATE project_counts SET images = images + $2, unannotated = unannotated + $3,
		annotations = annotations + $4, train = train + $5, valid = valid + $6, test = test + $7,
		versions = versions + $8, bytes = bytes + $9, updated_at = $10, seq = seq + 1 WHERE project_id = $1 RETURNING seq`,
		id, d.Images, d.Unannotated, d.Annotations, d.Train, d.Valid, d.Test, d.Versions, d.Bytes, micros(tx.Now))
}

// NextVersion takes the next version number of a project, and says up to which
// change and with how many images the version is frozen. Numbers are never
// given twice (D6).
func (tx *Tx) NextVersion(ctx context.Context, project string) (number, seq, images int64, err error) {
	type next struct{ number, seq, images int64 }
	n, err := queryOne(ctx, tx, func(r row) (n next, err error) { return n, r.Scan(&n.number, &n.seq, &n.images) },
		`UPDATE project_counts SET next_version = next_version + 1, versions = versions + 1, updated_at = $2 WHERE project_id = $1
		RETURNING next_version - 1, seq, images`, project, micros(tx.Now))
	return n.number, n.seq, n.images, err
}

// LastNumber is the highest version number a project ever gave.
func (tx *Tx) LastNumber(ctx context.Context, project string) (int64, error) {
	return queryOne(ctx, tx, scanInt, `SELECT c.next_version - 1`+fromActiveProjects+`WHERE p.id = $1`, project)
}

// ListClasses returns a project's classes in their order.
func (tx *Tx) ListClasses(ctx context.Context, project string) ([]cullet.Class, error) {
	return queryAll(ctx, tx, scanClass, `SELECT name, color, count FROM active_classes WHERE project_id = $1 ORDER BY position, name`, project)
}

func scanClass(r row) (c cullet.Class, err error) { return c, r.Scan(&c.Name, &c.Color, &c.Count) }

// ClassesOf returns the classes of all active projects of a workspace, by project id.
func (tx *Tx) ClassesOf(ctx context.Context, workspace string) (map[string][]cullet.Class, error) {
	type classOf struct {
		project string
		class   cullet.Class
	}
	all, err := queryAll(ctx, tx, func(r row) (c classOf, err error) {
		return c, r.Scan(&c.project, &c.class.Name, &c.class.Color, &c.class.Count)
	}, `SELECT c.project_id, c.name, c.color, c.count FROM active_classes c JOIN active_projects p ON p.id = c.project_id
		WHERE p.workspace_id = $1 ORDER BY c.project_id, c.position, c.name`, workspace)
	by := map[string][]cullet.Class{}
	for _, c := range all {
		by[c.project] = append(by[c.project], c.class)
	}
	return by, err
}

// CountClass adds to a class's count, and makes the class where it is new.
func (tx *Tx) CountClass(ctx context.Context, project, name string, delta int64) error {
	n, err := tx.exec(ctx, `UPDATE classes SET count = count + $3 WHERE project_id = $1 AND name = $2`, project, name, delta)
	if err != nil || n > 0 {
		return err
	}
	position, err := queryOne(ctx, tx, scanInt, `SELECT COUNT(*) FROM active_classes WHERE project_id = $1`, project)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO classes (project_id, name, color, position, count) VALUES ($1, $2, $3, $4, $5)`,
		project, name, cullet.ClassColor(int(position)), position, delta)
	return err
}

// Folders.

func scanFolder(r row) (f cullet.Folder, err error) {
	return f, r.Scan(&f.ID, &f.Workspace, &f.Name, maybe{&f.Parent}, instant{&f.CreatedAt})
}

const folderColumns = `id, workspace_id, name, parent_id, created_at`

// AddFolder keeps a new folder.
func (tx *Tx) AddFolder(ctx context.Context, f cullet.Folder) error {
	_, err := tx.exec(ctx, `INSERT INTO folders (`+folderColumns+`) VALUES ($1, $2, $3, $4, $5)`,
		f.ID, f.Workspace, f.Name, orNull(f.Parent), micros(f.CreatedAt))
	return err
}

// GetFolder returns a folder of the workspace, or ErrNoRow.
func (tx *Tx) GetFolder(ctx context.Context, workspace, id string) (cullet.Folder, error) {
	return queryOne(ctx, tx, scanFolder, `SELECT `+folderColumns+` FROM folders WHERE workspace_id = $1 AND id = $2`, workspace, id)
}

// ShareFolder keeps a folder from being removed until the transaction ends, and
// TakeFolder keeps who moves something into it out; each returns it, or ErrNoRow.
// Folders are locked before the projects in them.
func (tx *Tx) ShareFolder(ctx context.Context, workspace, id string) (cullet.Folder, error) {
	return queryOne(ctx, tx, scanFolder, `SELECT `+folderColumns+` FROM folders WHERE workspace_id = $1 AND id = $2`+forShare(tx), workspace, id)
}

// TakeFolder is described with ShareFolder.
func (tx *Tx) TakeFolder(ctx context.Context, workspace, id string) (cullet.Folder, error) {
	return queryOne(ctx, tx, scanFolder, `SELECT `+folderColumns+` FROM folders WHERE workspace_id = $1 AND id = $2`+forUpdate(tx), workspace, id)
}

// ListFolders lists the workspace's folders by name.
func (tx *Tx) ListFolders(ctx context.Context, workspace string) ([]cullet.Folder, error) {
	return queryAll(ctx, tx, scanFolder, `SELECT `+folderColumns+` FROM folders WHERE workspace_id = $1 ORDER BY name, id`, workspace)
}

// RenameFolder changes a folder's name.
func (tx *Tx) RenameFolder(ctx context.Context, workspace, id, name string) error {
	return tx.execOne(ctx, `UPDATE folders SET name = $3 WHERE workspace_id = $1 AND id = $2`, workspace, id, name)
}

// RemoveFolder removes a folder. Its projects and folders move to the root;
// projects in Trash keep its id, so that a restore can say that it is gone (R4).
func (tx *Tx) RemoveFolder(ctx context.Context, workspace, id string) error {
	if _, err := tx.exec(ctx, `UPDATE projects SET folder_id = '' WHERE folder_id = $1 AND trash_item_id IS NULL`, id); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `UPDATE folders SET parent_id = NULL WHERE parent_id = $1`, id); err != nil {
		return err
	}
	return tx.execOne(ctx, `DELETE FROM folders WHERE workspace_id = $1 AND id = $2`, workspace, id)
}

// MoveToFolder puts an active project into a folder, or to the root with "".
func (tx *Tx) MoveToFolder(ctx context.Context, project, folder string) error {
	return tx.execOne(ctx, `UPDATE projects SET folder_id = $2 WHERE id = $1 AND trash_item_id IS NULL`, project, folder)
}

// query builds a statement with conditions that depend on what was asked. Each ?
// becomes the next numbered parameter.
type query struct {
	sql  strings.Builder
	args []any
}

func newQuery(sql string, args ...any) *query {
	q := &query{args: args}
	q.sql.WriteString(sql)
	return q
}

func (q *query) add(sql string, args ...any) {
	for _, a := range args {
		q.args = append(q.args, a)
		sql = strings.Replace(sql, "?", fmt.Sprintf("$%d", len(q.args)), 1)
	}
	q.sql.WriteString(sql)
}

func (q *query) and(sql string, args ...any) { q.add(" AND "+sql, args...) }

// page orders by a column and the id, begins after the last row of the page
// before, and ends after limit rows.
func (q *query) page(column, id string, desc, after bool, lastKey any, lastID string, limit int) {
	way, op := "ASC", ">"
	if desc {
		way, op = "DESC", "<"
	}
	if after {
		q.and(fmt.Sprintf(`(%s, %s) %s (?, ?)`, column, id, op), lastKey, lastID)
	}
	q.add(fmt.Sprintf(` ORDER BY %s %s, %s %s LIMIT ?`, column, way, id, way), limit)
}

func (q *query) text() string { return q.sql.String() }

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

func escapeLike(s string) string { return likeEscaper.Replace(s) }
func contains(s string) string   { return "%" + escapeLike(strings.ToLower(s)) + "%" }

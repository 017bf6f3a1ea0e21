package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
)

type pageCommand struct {
	common
	Many     int `help:"Items in the full Trash." default:"100000"`
	Few      int `help:"Items in the other." default:"100"`
	Requests int `help:"Requests of each page to each server." default:"20"`
}

// pages are what is asked for: the Trash page in each of its orders, one type of it, and
// a filter.
var pages = []string{"", "?sort=due", "?sort=size", "?sort=name", "?sort=type", "?type=project", "?type=project&sort=due", "?type=project&sort=size",
	"?type=project&sort=name", "?due=7", "?q=thing"}

// Run serves a full Trash and an almost empty one side by side, and asks them in turns.
func (c *pageCommand) Run(ctx context.Context) error {
	dir, done, err := c.temp()
	if err != nil {
		return err
	}
	defer done()
	binary, err := buildServer(ctx, dir)
	if err != nil {
		return err
	}
	var servers [2]*server
	for n, items := range []int{c.Few, c.Many} {
		p, err := c.newPlace(ctx, dir)
		if err != nil {
			return err
		}
		defer p.close()
		if err := p.fillTrash(ctx, items); err != nil {
			return err
		}
		s, err := p.serve(ctx, binary)
		if err != nil {
			return err
		}
		defer func() { _ = s.stop() }()
		if err := s.signIn(ctx); err != nil {
			return err
		}
		servers[n] = s
	}
	<-clock.After(2 * time.Second) // what a server does as it starts
	for _, query := range pages {
		few, many, err := inTurns(servers, c.Requests, func(s *server) (string, error) {
			return s.page(ctx, "/app/acme/settings/trash"+query)
		})
		if err != nil {
			return err
		}
		fmt.Printf("page: %-26q %d items %s, %d items %s, ratio %.2f (at most 2)\n", query, c.Few, ms(few), c.Many, ms(many), ratio(many, few))
	}
	few, many, err := inTurns(servers, c.Runs, func(s *server) (string, error) { return s.call(ctx, http.MethodGet, "/acme/trash", "") })
	if err != nil {
		return err
	}
	times := float64(c.Many) / float64(c.Few)
	fmt.Printf("page: trash(), the whole list: %d items %s, %d items %s, ratio %.0f for %.0f times the items (at most as many times as long)\n",
		c.Few, ms(few), c.Many, ms(many), ratio(many, few), times)
	return nil
}

// inTurns asks both servers in turns and returns the medians.
func inTurns(servers [2]*server, requests int, ask func(*server) (string, error)) (few, many time.Duration, err error) {
	var took2 [2][]time.Duration
	for n := range requests + 2 {
		for i, s := range servers {
			d, err := took(func() error {
				_, err := ask(s)
				return err
			})
			if err != nil {
				return 0, 0, err
			}
			if n >= 2 { // the first ones prepare statements
				took2[i] = append(took2[i], d)
			}
		}
	}
	return nth(took2[0], 0.5), nth(took2[1], 0.5), nil
}

// fillTrash puts items into Trash by rows alone: half are projects, a fifth versions of
// an active project, the rest workflows. They were deleted over the last four weeks, so
// some are due soon; their people were told.
func (p *place) fillTrash(ctx context.Context, items int) error {
	parent, err := p.project(ctx, "Parent")
	if err != nil {
		return err
	}
	type item struct {
		cullet.TrashItem
		bytes int64
	}
	now := clock.Now()
	all := make([]item, items)
	byType := map[cullet.Trashable][]item{}
	for n := range all {
		i := item{bytes: rand.Int64N(1e9)}
		i.ID, i.Workspace = cullet.NewID(cullet.TrashItemID), p.opened.Workspace.ID
		i.DeletedAt = now.Add(-time.Duration(rand.Int64N(int64(28 * 24 * time.Hour))))
		i.Name = fmt.Sprintf("Thing %08x", rand.Uint32())
		switch {
		case n%10 < 5:
			i.Type, i.Target = cullet.TrashProject, cullet.NewID(cullet.ProjectID)
			i.Project, i.Slug = i.Target, strings.ToLower(cullet.NewID("thing"))
		case n%10 < 7:
			i.Type, i.Target, i.Project, i.Number = cullet.TrashVersion, cullet.NewID(cullet.VersionID), parent.ID, int64(n+1)
			i.Version = i.Target
		default:
			i.Type, i.Target, i.Slug = cullet.TrashWorkflow, cullet.NewID(cullet.WorkflowID), strings.ToLower(cullet.NewID("thing"))
		}
		all[n] = i
		byType[i.Type] = append(byType[i.Type], i)
	}
	err = p.insert(ctx, `trash_items (id, workspace_id, type, target_id, number, name, slug, project_id, version_id, deleted_at, deleted_by, deleted_by_name,
		deleted_means, cleanup_at, effective_at, state, contents, bytes, counted_at, warned_for, warned_step)`, items, func(n int) []any {
		i := all[n]
		due := i.DeletedAt.Add(cullet.DefaultRetention).UnixMicro()
		return []any{i.ID, i.Workspace, i.Type, i.Target, i.Number, i.Name, i.Slug, i.Project, i.Version, i.DeletedAt.UnixMicro(), p.by.ID, p.by.Name,
			p.by.Means, due, due, cullet.Trashed, `{"Images":12,"Annotations":34}`, i.bytes, now.UnixMicro(), due, 1}
	})
	if err != nil {
		return err
	}
	projects, versions, workflows := byType[cullet.TrashProject], byType[cullet.TrashVersion], byType[cullet.TrashWorkflow]
	err = p.insert(ctx, `projects (id, workspace_id, slug, name, type, multilabel, license, annotation_group, created_at, trash_item_id)`, len(projects), func(n int) []any {
		i := projects[n]
		return []any{i.Target, i.Workspace, i.Slug, i.Name, "object-detection", false, "", "", now.UnixMicro(), i.ID}
	})
	if err != nil {
		return err
	}
	err = p.insert(ctx, `project_counts (project_id, images, bytes, updated_at)`, len(projects), func(n int) []any {
		return []any{projects[n].Target, 12, projects[n].bytes, now.UnixMicro()}
	})
	if err != nil {
		return err
	}
	err = p.insert(ctx, `versions (id, workspace_id, project_id, number, name, state, preprocessing, augmentation, frozen_seq, expected, bytes, created_at, created_by, trash_item_id)`,
		len(versions), func(n int) []any {
			i := versions[n]
			return []any{i.Target, i.Workspace, i.Project, i.Number, i.Name, "ready", "{}", "{}", 1, 12, i.bytes, now.UnixMicro(), p.by.ID, i.ID}
		})
	if err != nil {
		return err
	}
	err = p.insert(ctx, `workflows (id, workspace_id, slug, name, config, created_at, updated_at, trash_item_id)`, len(workflows), func(n int) []any {
		i := workflows[n]
		return []any{i.Target, i.Workspace, i.Slug, i.Name, "{}", now.UnixMicro(), now.UnixMicro(), i.ID}
	})
	if err != nil {
		return err
	}
	for typ, some := range byType {
		total := int64(0)
		for _, i := range some {
			total += i.bytes
		}
		if _, err := p.db.Conn().Writer.ExecContext(ctx, `UPDATE trash_counts SET items = $1, bytes = $2 WHERE workspace_id = $3 AND type = $4`,
			len(some), total, p.opened.Workspace.ID, typ); err != nil {
			return err
		}
	}
	return p.analyze(ctx)
}

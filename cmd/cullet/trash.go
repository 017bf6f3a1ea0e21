package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cullet-vision/cullet/sdk"
)

// trashCommand is what the API lets a key do with the Trash beyond the official CLI.
// Permanent deletion is not among it (P2).
type trashCommand struct {
	Status  statusCommand  `cmd:"" help:"What lies in Trash, what of it is being deleted permanently and how far that is, and what waits for what."`
	Preview previewCommand `cmd:"" help:"Dry run: what cleanup would delete within the next days, or what deleting items would, and how many bytes that frees."`
	Rescue  rescueCommand  `cmd:"" help:"Bring back everything that somebody deleted in a time, parents first, with a report. Exit status 1 where something was left out."`
}

// remote is a server, spoken with over its API.
type remote struct {
	URL  string `name:"url" help:"Address of the server." default:"http://127.0.0.1:7080" env:"API_URL"`
	Key  string `name:"api-key" help:"API key." required:"" env:"ROBOFLOW_API_KEY,CULLET_API_KEY"`
	JSON bool   `name:"json" help:"Print one JSON object."`
}

func (r remote) workspace(ctx context.Context) (*sdk.Workspace, error) {
	c, err := sdk.New(r.URL, r.Key)
	if err != nil {
		return nil, err
	}
	return c.Workspace(ctx)
}

type previewCommand struct {
	remote
	Days  int      `help:"How many days ahead to look." default:"7"`
	Items []string `name:"item" help:"Id of an item in Trash, any number of times, in place of --days." placeholder:"ID"`
}

// Run prints a dry run.
func (c *previewCommand) Run(ctx context.Context) error {
	w, err := c.workspace(ctx)
	if err != nil {
		return err
	}
	var p *sdk.Preview
	if len(c.Items) > 0 {
		p, err = w.PreviewItems(ctx, c.Items...)
	} else {
		p, err = w.PreviewCleanup(ctx, c.Days)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(p)
	}
	if !p.DueBy.IsZero() {
		fmt.Printf("Up to %s cleanup comes to:\n", p.DueBy.Format(shown))
	}
	for _, i := range p.Goes {
		fmt.Printf("  %-9s %-40s due %s  %s\n", i.Type, i.Name, i.ScheduledCleanupAt.Format(shown), i.ItemID)
	}
	for _, i := range p.Stays {
		fmt.Printf("  stays     %-40s %s\n", or(i.Name, i.ItemID), i.Reason)
	}
	fmt.Printf("%d items: %d images, %d annotations, %d versions, %d exports, %d trainings, %d models\n",
		p.Items, p.Images, p.Annotations, p.Versions, p.Exports, p.Trainings, p.Models)
	fmt.Printf("frees %d bytes in %d files\n", p.FreedBytes, p.FreedFiles)
	if p.SharedFiles > 0 {
		fmt.Printf("%d bytes in %d files stay: %s\n", p.SharedBytes, p.SharedFiles, sharers(p))
	}
	fmt.Println("nothing was changed")
	return nil
}

const shown = "2 Jan 2006 15:04 UTC"

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func sharers(p *sdk.Preview) string {
	switch {
	case len(p.SharedWith) == 0:
		return "something else refers to them"
	case p.SharedWithOthers > 0:
		return fmt.Sprintf("%s and %d more refer to them", strings.Join(p.SharedWith, ", "), p.SharedWithOthers)
	}
	return strings.Join(p.SharedWith, ", ") + " too refer to them"
}

type rescueCommand struct {
	remote
	By     string        `name:"deleted-by" help:"Id or exact name of the person or key that deleted, as the Trash lists it (\"key ci-bot\")." placeholder:"WHO"`
	Means  string        `help:"By which means: web or key." enum:",web,key" default:""`
	From   time.Time     `help:"Deleted at this time or later (RFC 3339)." placeholder:"TIME"`
	To     time.Time     `help:"Deleted before this time (RFC 3339)." placeholder:"TIME"`
	Last   time.Duration `help:"Deleted within this time until now, in place of --from." placeholder:"DURATION"`
	Types  []string      `name:"type" help:"project, version, training or workflow; any number of times (default: all)." placeholder:"TYPE"`
	Rename bool          `help:"Bring back what lost its name to a new one under a free name."`
	DryRun bool          `help:"Print the plan and change nothing."`
}

// Run begins a rescue, waits for its end, and prints the report.
func (c *rescueCommand) Run(ctx context.Context) error {
	ask := sdk.Rescue{DeletedBy: c.By, Means: c.Means, From: c.From, To: c.To, Rename: c.Rename}
	if c.Last > 0 {
		if !c.From.IsZero() {
			return errors.New("say --last or --from, not both")
		}
		ask.From = time.Now().Add(-c.Last)
	}
	for _, t := range c.Types {
		ask.Types = append(ask.Types, sdk.ItemType(t))
	}
	w, err := c.workspace(ctx)
	if err != nil {
		return err
	}
	var r *sdk.RescueReport
	if c.DryRun {
		r, err = w.PlanRescue(ctx, ask)
	} else {
		r, err = follow(ctx, w, ask)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(r)
	} else {
		printRescue(r)
	}
	if err == nil && r.LeftOut > 0 {
		return exit{status: 1}
	}
	return err
}

// follow begins a rescue and looks until it has ended. Cut off, it goes on without us.
func follow(ctx context.Context, w *sdk.Workspace, ask sdk.Rescue) (*sdk.RescueReport, error) {
	r, err := w.Rescue(ctx, ask)
	for err == nil {
		if r, err = w.RescueReport(ctx, r.ID); err != nil || r.State != "running" {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-systemClock.After(200 * time.Millisecond):
		}
	}
	return r, err
}

func printRescue(r *sdk.RescueReport) {
	for _, i := range r.Report {
		line := fmt.Sprintf("  %-22s %-9s %s", i.Result, i.Type, i.Name)
		if i.Added {
			line += " (comes first for what lies below it)"
		}
		switch {
		case i.Reason != "" && i.Slug != "":
			line += fmt.Sprintf(": %s (free: %s)", i.Reason, i.Slug)
		case i.Reason != "":
			line += ": " + i.Reason
		case i.Slug != "":
			line += " as " + i.Slug
		}
		fmt.Println(line)
	}
	if r.State == "plan" {
		fmt.Printf("%d items; nothing was changed\n", r.Items)
		return
	}
	fmt.Printf("%d of %d restored, %d left out\n", r.Restored, r.Items, r.LeftOut)
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/cullet-vision/cullet/sdk"
)

type statusCommand struct{ remote }

// Run prints how the Trash stands.
func (c *statusCommand) Run(ctx context.Context) error {
	w, err := c.workspace(ctx)
	if err != nil {
		return err
	}
	s, err := w.TrashStatus(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(s)
	}
	printStatus(os.Stdout, w.Slug, s)
	return nil
}

func printStatus(w io.Writer, workspace string, s *sdk.TrashStatus) {
	fmt.Fprintf(w, "Trash of %s, %s\n", workspace, s.CountedAt.Format(shown))
	held := printTypes(w, s.Types)
	if len(s.Leaving) == 0 {
		fmt.Fprintln(w, "nothing is being deleted permanently")
	} else {
		fmt.Fprintln(w, "being deleted permanently:")
	}
	for _, i := range s.Leaving {
		printLeaving(w, i)
	}
	if s.LeavingMore > 0 {
		fmt.Fprintf(w, "  and %d more\n", s.LeavingMore)
	}
	if !s.OverdueSince.IsZero() {
		fmt.Fprintf(w, "overdue: the longest since %s\n", s.OverdueSince.Format(shown))
	}
	if s.Waiting != nil {
		fmt.Fprintf(w, "cleanup waits until %s, or until a person lifts that in the web app: %s; %d items became due meanwhile\n",
			s.Waiting.Until.Format(shown), s.Waiting.Reason, s.Waiting.Items)
	}
	if held > 0 {
		fmt.Fprintf(w, "held, kept until released: %d\n", held)
	}
	printFilesLeft(w, s)
}

// printTypes prints a table of the types of which something is there, and says how many
// items are held.
func printTypes(to io.Writer, types []sdk.TypeStatus) (held int64) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "type\titems\ttrashed\theld\tleaving\tproblems\tbytes\t")
	all := sdk.TypeStatus{Type: "all"}
	for _, t := range types {
		all.Items, all.Bytes, all.Trashed, all.Held = all.Items+t.Items, all.Bytes+t.Bytes, all.Trashed+t.Trashed, all.Held+t.Held
		all.Leaving, all.Problems = all.Leaving+t.Leaving, all.Problems+t.Problems
		if t.Items > 0 {
			printType(w, t)
		}
	}
	printType(w, all)
	_ = w.Flush() // to stdout, like every other line
	return all.Held
}

func printType(w io.Writer, t sdk.TypeStatus) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", t.Type, t.Items, t.Trashed, t.Held, t.Leaving, t.Problems, t.Bytes)
}

// printLeaving prints how far a permanent deletion is.
func printLeaving(w io.Writer, i sdk.LeavingItem) {
	by := "by cleanup"
	if i.Ordered {
		by = "by order"
	}
	since := ""
	if !i.StartedAt.IsZero() {
		since = ", since " + i.StartedAt.Format(shown)
	}
	fmt.Fprintf(w, "  %-9s %-40s %d of %d rows gone, %d left; %d bytes freed; %s%s  %s\n",
		i.Type, i.Name, i.RowsDone, i.RowsDone+i.RowsLeft, i.RowsLeft, i.FreedBytes, by, since, i.ItemID)
	if i.Along > 0 {
		fmt.Fprintf(w, "            in Trash along with it: %d\n", i.Along)
	}
	if i.FilesLeft > 0 {
		fmt.Fprintf(w, "            files still to be removed, whose rows are gone: %d (%d bytes)\n", i.FilesLeft, i.BytesLeft)
	}
	if i.Problem != "" {
		fmt.Fprintf(w, "            last problem: %s\n", i.Problem)
	}
	if !i.RetryAt.IsZero() {
		fmt.Fprintf(w, "            it goes on at %s\n", i.RetryAt.Format(shown))
	}
}

func printFilesLeft(w io.Writer, s *sdk.TrashStatus) {
	if f := s.FilesLeft; f.Files > 0 {
		fmt.Fprintf(w, "files still to be removed: %d (%d bytes)", f.Files, f.Bytes)
		if f.Problems > 0 {
			fmt.Fprintf(w, "; failed so far: %d, tried again every 5 minutes (the server's log says why)", f.Problems)
		}
		fmt.Fprintln(w)
	}
	if s.Backup {
		fmt.Fprintln(w, "a backup is under way: no file is removed before it ends")
	}
}

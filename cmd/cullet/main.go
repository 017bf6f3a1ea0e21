// Command cullet is the whole of Cullet: the server with its API, web app and
// jobs, and what an operator does beside it. It is the one place that knows every
// package.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/demo"
	"github.com/cullet-vision/cullet/internal/training/supervise"
)

type commands struct {
	Demo      demoCommand      `cmd:"" help:"Start a sample workspace: images, versions, a training in flight, a workflow."`
	Init      initCommand      `cmd:"" help:"Make a new data folder with a workspace, its owner and an API key."`
	Serve     serveCommand     `cmd:"" help:"Serve the API and the web app, and do the jobs."`
	Fsck      fsckCommand      `cmd:"" help:"Prove that nothing dangles, is missing or left over, or was rewritten. Exit status 0 clean, 1 findings, 2 could not look."`
	Trash     trashCommand     `cmd:"" help:"How the Trash stands, dry runs of cleanup, and bringing back what a stray script deleted; over the API, with a key."`
	Audit     auditCommand     `cmd:"" help:"Write a workspace's audit as JSON lines, which docs/audit.md says how to verify."`
	Backup    backupCommand    `cmd:"" help:"Copy a server, which may be serving, into a folder of snapshots or a .tar file."`
	Restore   restoreCommand   `cmd:"" name:"restore-backup" help:"Make a server from a backup, in a new data folder and an empty database. Exit status 1 not restored, 2 restored with findings."`
	Workspace workspaceCommand `cmd:"" help:"Workspaces of a server."`
}

func main() {
	// Two of our own processes run this same program, and need none of what follows.
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case supervise.Subcommand:
			os.Exit(supervise.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
		case demo.Subcommand:
			os.Exit(demo.Train(os.Stdout, os.Stderr))
		}
	}
	os.Exit(run())
}

// exit is an error with the status that the process ends with.
type exit struct {
	status int
	err    error
}

func (e exit) Error() string { return e.err.Error() }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	parser := kong.Must(&c, kong.Name("cullet"), kong.UsageOnError(),
		kong.Description("A computer-vision workspace you host yourself. What you delete stays restorable for 30 days."),
		kong.Resolvers(fileSettings(os.Args[1:])), kong.BindTo(ctx, (*context.Context)(nil)))
	k, err := parser.Parse(os.Args[1:])
	if err != nil {
		parser.FatalIfErrorf(err)
	}
	err = k.Run()
	if err == nil {
		return 0
	}
	var e exit
	if errors.As(err, &e) {
		if e.err != nil {
			fmt.Fprintln(os.Stderr, "cullet:", e.err)
		}
		return e.status
	}
	if cullet.CodeOf(err) != cullet.Internal {
		fmt.Fprintln(os.Stderr, "cullet:", cullet.MessageOf(err))
	} else {
		fmt.Fprintln(os.Stderr, "cullet:", err)
	}
	return 1
}

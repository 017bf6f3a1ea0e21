package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"time"

	"github.com/cullet-vision/cullet/internal/fsck"
	"github.com/cullet-vision/cullet/internal/purge"
)

type purgeCommand struct {
	common
	Profile string `help:"Write a CPU profile of the purges to this file." placeholder:"FILE"`
}

// Run purges a project of which a tenth is shared, and has rm -rf remove copies of the
// very files that the purge removes, in turns. Each run has new data.
func (c *purgeCommand) Run(ctx context.Context) error {
	dir, done, err := c.temp()
	if err != nil {
		return err
	}
	defer done()
	if c.Profile != "" {
		f, err := os.Create(c.Profile)
		if err != nil {
			return err
		}
		defer f.Close()
		c.Profile = ""
		defer pprof.StopCPUProfile()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
	}
	var ours, theirs []time.Duration
	for n := range c.Runs {
		us, them, err := c.once(ctx, dir, n%2 == 0)
		if err != nil {
			return err
		}
		ours, theirs = append(ours, us), append(theirs, them)
		fmt.Printf("purge: run %d: %d images in %.1f s; rm -rf of the same %d files in %.1f s\n", n+1, c.Images, us.Seconds(), c.Images-c.Images/10, them.Seconds())
	}
	us, them := nth(ours, 0.5), nth(theirs, 0.5)
	fmt.Printf("purge: median %.1f s, %.0f images/s; rm -rf %.1f s; speed of the purge / speed of rm -rf = %.2f (at least 0.80)\n",
		us.Seconds(), float64(c.Images)/us.Seconds(), them.Seconds(), ratio(them, us))
	return nil
}

func (c *purgeCommand) once(ctx context.Context, dir string, first bool) (us, them time.Duration, err error) {
	p, err := c.newPlace(ctx, dir)
	if err != nil {
		return 0, 0, err
	}
	defer p.close()
	twin := filepath.Join(dir, "twin")
	if err := p.fill(ctx, c.Images, c.Images/10, c.Bytes, twin); err != nil {
		return 0, 0, err
	}
	if err := p.trashNow(ctx, "large"); err != nil {
		return 0, 0, err
	}
	remove := func() (err error) {
		if err = c.settle(); err == nil {
			them, err = took(func() error { return exec.CommandContext(ctx, "rm", "-rf", twin).Run() })
		}
		return err
	}
	if first {
		if err := remove(); err != nil {
			return 0, 0, err
		}
	}
	if err := c.settle(); err != nil {
		return 0, 0, err
	}
	if us, err = p.purge(ctx); err != nil {
		return 0, 0, err
	}
	if !first {
		if err := remove(); err != nil {
			return 0, 0, err
		}
	}
	return us, them, p.proveEmpty(ctx, int64(c.Images/10))
}

// purge runs the engine in this process until all that was due is gone.
func (p *place) purge(ctx context.Context) (time.Duration, error) {
	engine := purge.NewEngine(p.db, p.blobs, time.Second, quiet)
	return took(func() error {
		for {
			if err := engine.Round(ctx); err != nil {
				return err
			}
			if n, err := p.left(ctx); n == 0 || err != nil {
				return err
			}
		}
	})
}

// proveEmpty looks with fsck whether just the shared files are left (C5).
func (p *place) proveEmpty(ctx context.Context, shared int64) error {
	r, err := fsck.Check(ctx, p.db, p.blobs, fsck.Options{})
	if err != nil {
		return err
	}
	if !r.Clean() || r.Files != shared || r.Blobs != shared || r.Young != 0 {
		return fmt.Errorf("after the purge there are %d files, %d rows of files and %d without a row, want %d and none: %v", r.Files, r.Blobs, r.Young, shared, r.Findings)
	}
	return nil
}

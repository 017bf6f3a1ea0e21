package main

import (
	"context"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

type gcCommand struct {
	common
	MLflow string `name:"mlflow" help:"The mlflow command (python3 -m venv V; V/bin/pip install mlflow; V/bin/mlflow)." required:"" placeholder:"FILE"`
	PerRun int    `help:"Artifacts of a run of mlflow." default:"100"`
}

//go:embed gc.py
var fillMLflow string

// Run purges a project, and has mlflow gc remove deleted runs that have as many
// artifacts of the same size, in turns.
func (c *gcCommand) Run(ctx context.Context) error {
	dir, done, err := c.temp()
	if err != nil {
		return err
	}
	defer done()
	version, err := exec.CommandContext(ctx, c.MLflow, "--version").Output()
	if err != nil {
		return fmt.Errorf("%s --version: %w", c.MLflow, err)
	}
	var ours, theirs []time.Duration
	for n := range c.Runs {
		them, files, rows, err := c.mlflow(ctx, filepath.Join(dir, fmt.Sprint("mlflow", n)))
		if err != nil {
			return err
		}
		us, err := c.ours(ctx, dir)
		if err != nil {
			return err
		}
		ours, theirs = append(ours, us), append(theirs, them)
		fmt.Printf("gc: run %d: %d images in %.1f s, nothing left; mlflow gc %.1f s, %d files and %d rows of runs left\n", n+1, c.Images, us.Seconds(), them.Seconds(), files, rows)
	}
	us, them := nth(ours, 0.5), nth(theirs, 0.5)
	fmt.Printf("gc: %smedian %.1f s, mlflow gc (%d runs of %d artifacts) %.1f s: %.1f times as fast (at least 10)\n",
		version, us.Seconds(), c.Images/c.PerRun, c.PerRun, them.Seconds(), ratio(them, us))
	return nil
}

func (c *gcCommand) ours(ctx context.Context, dir string) (time.Duration, error) {
	p, err := c.newPlace(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer p.close()
	if err := p.fill(ctx, c.Images, 0, c.Bytes, ""); err != nil {
		return 0, err
	}
	if err := p.trashNow(ctx, "large"); err != nil {
		return 0, err
	}
	if err := c.settle(); err != nil {
		return 0, err
	}
	took, err := p.purge(ctx)
	if err != nil {
		return 0, err
	}
	return took, p.proveEmpty(ctx, 0)
}

// mlflow fills a store of mlflow, deletes its runs by its API, and has its gc remove
// them; it returns what that left.
func (c *gcCommand) mlflow(ctx context.Context, dir string) (d time.Duration, files, rows int, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, 0, 0, err
	}
	defer os.RemoveAll(dir)
	store := "sqlite:///" + filepath.Join(dir, "mlflow.db")
	artifacts := filepath.Join(dir, "artifacts")
	python := filepath.Join(filepath.Dir(c.MLflow), "python")
	script := func(what string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, python, "-c", fillMLflow, what, store, artifacts, fmt.Sprint(c.Images/c.PerRun), fmt.Sprint(c.PerRun), fmt.Sprint(c.Bytes))
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("filling mlflow: %w: %s", err, out)
		}
		return out, err
	}
	if _, err := script("fill"); err != nil {
		return 0, 0, 0, err
	}
	if err := c.settle(); err != nil {
		return 0, 0, 0, err
	}
	d, err = took(func() error {
		out, err := exec.CommandContext(ctx, c.MLflow, "gc", "--backend-store-uri", store, "--tracking-uri", store).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("mlflow gc: %w: %s", err, out[max(0, len(out)-2000):])
		}
		return err
	})
	if err != nil {
		return 0, 0, 0, err
	}
	err = filepath.WalkDir(artifacts, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files++
		}
		return err
	})
	if err != nil {
		return 0, 0, 0, err
	}
	out, err := script("count")
	if err == nil {
		_, err = fmt.Sscanf(string(out[lastLine(out):]), "runs %d", &rows)
	}
	return d, files, rows, err
}

// lastLine is where the last line of an output begins: mlflow says more than it is asked.
func lastLine(out []byte) int {
	for n := len(out) - 2; n >= 0; n-- {
		if out[n] == '\n' {
			return n + 1
		}
	}
	return 0
}

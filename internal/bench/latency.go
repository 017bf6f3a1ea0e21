package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"time"
)

type latencyCommand struct {
	common
	Samples int           `help:"Rounds of delete, list and restore on the idle server." default:"500"`
	Pause   time.Duration `help:"Between two requests." default:"10ms"`
}

// acts are what is measured, in the order of a round.
var acts = []string{"delete", "trash list", "restore"}

// latencies are of each act in one state of the server.
type latencies map[string][]time.Duration

// Run asks a server for deletions, lists and restores of small projects: idle, while it
// purges a large project, and, idle again, while rm -rf removes as many files beside it.
func (c *latencyCommand) Run(ctx context.Context) error {
	dir, done, err := c.temp()
	if err != nil {
		return err
	}
	defer done()
	binary, err := buildServer(ctx, dir)
	if err != nil {
		return err
	}
	by := map[string]latencies{"idle": {}, "purge": {}, "rm -rf": {}}
	for n := range c.Runs {
		if err := c.once(ctx, dir, binary, by); err != nil {
			return fmt.Errorf("run %d: %w", n+1, err)
		}
	}
	for _, act := range acts {
		idle := by["idle"][act]
		fmt.Printf("latency: %-10s idle p50 %s p99 %s (%d)", act, ms(nth(idle, 0.5)), ms(nth(idle, 0.99)), len(idle))
		for _, state := range []string{"purge", "rm -rf"} {
			all := by[state][act]
			fmt.Printf("; during %s p50 %s p99 %s max %s (%d), p99 ratio %.1f", state, ms(nth(all, 0.5)), ms(nth(all, 0.99)), ms(nth(all, 1)), len(all), ratio(nth(all, 0.99), nth(idle, 0.99)))
		}
		fmt.Println(" (purge at most 3)")
	}
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

func (c *latencyCommand) once(ctx context.Context, dir, binary string, by map[string]latencies) error {
	p, err := c.newPlace(ctx, dir)
	if err != nil {
		return err
	}
	defer p.close()
	twin := filepath.Join(dir, "twin")
	if err := p.fill(ctx, c.Images, c.Images/10, c.Bytes, twin); err != nil {
		return err
	}
	small, err := p.project(ctx, "Small")
	if err != nil {
		return err
	}
	s, err := p.serve(ctx, binary)
	if err != nil {
		return err
	}
	defer func() { _ = s.stop() }()
	if err := c.settle(); err != nil {
		return err
	}
	<-clock.After(2 * time.Second) // what a server does as it starts
	round := func(to latencies) error { return c.round(ctx, s, small.ID, to) }
	for range 20 { // the first ones prepare statements
		if err := round(latencies{}); err != nil {
			return err
		}
	}
	for range c.Samples {
		if err := round(by["idle"]); err != nil {
			return err
		}
	}
	if err := p.trashNow(ctx, "large"); err != nil {
		return err
	}
	for { // small is put back at the end of a round, so that one item is left while the purge lasts
		if n, err := p.left(ctx); err != nil {
			return err
		} else if n == 0 {
			break
		}
		if err := round(by["purge"]); err != nil {
			return err
		}
	}
	if err := c.settle(); err != nil {
		return err
	}
	rm := exec.CommandContext(ctx, "rm", "-rf", twin)
	if err := rm.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- rm.Wait() }()
	for {
		select {
		case err := <-ended:
			return err
		default:
		}
		if err := round(by["rm -rf"]); err != nil {
			return errors.Join(err, <-ended)
		}
	}
}

// round deletes the small project, lists the Trash and restores the project.
func (c *latencyCommand) round(ctx context.Context, s *server, project string, to latencies) error {
	body, err := json.Marshal(map[string]string{"type": "project", "id": project})
	if err != nil {
		return err
	}
	for n, call := range []struct{ method, path, body string }{
		{http.MethodDelete, "/acme/small", ""}, {http.MethodGet, "/acme/trash", ""}, {http.MethodPost, "/acme/trash/restore", string(body)},
	} {
		<-clock.After(c.Pause)
		d, err := took(func() error {
			_, err := s.call(ctx, call.method, call.path, call.body)
			return err
		})
		if err != nil {
			return err
		}
		to[acts[n]] = append(to[acts[n]], d)
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

type memoryCommand struct {
	common
	Rows int `help:"Images in the project that is purged; they share one file." default:"1000000"`
}

// Run has a server purge rows and looks at how much of the machine's memory it holds.
func (c *memoryCommand) Run(ctx context.Context) error {
	dir, done, err := c.temp()
	if err != nil {
		return err
	}
	defer done()
	binary, err := buildServer(ctx, dir)
	if err != nil {
		return err
	}
	p, err := c.newPlace(ctx, dir)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.fill(ctx, 1, 0, c.Bytes, ""); err != nil {
		return err
	}
	if err := p.multiply(ctx, c.Rows); err != nil {
		return err
	}
	s, err := p.serve(ctx, binary)
	if err != nil {
		return err
	}
	defer func() { _ = s.stop() }()
	<-clock.After(2 * time.Second)
	idle, err := s.resident()
	if err != nil {
		return err
	}
	if err := p.trashNow(ctx, "large"); err != nil {
		return err
	}
	var seen []int64
	spent, err := took(func() error {
		for {
			<-clock.After(100 * time.Millisecond)
			now, err := s.resident()
			if err != nil {
				return err
			}
			seen = append(seen, now)
			if n, err := p.left(ctx); n == 0 || err != nil {
				return err
			}
		}
	})
	if err != nil {
		return err
	}
	tenth := max(1, len(seen)/10)
	most := int64(0)
	for _, n := range seen {
		most = max(most, n)
	}
	fmt.Printf("memory: %d rows in %.1f s, %d looks; resident MB idle %.1f, first tenth at most %.1f, last tenth at most %.1f, at most %.1f (below 100)\n",
		c.Rows, spent.Seconds(), len(seen), mb(idle), mb(maxOf(seen[:tenth])), mb(maxOf(seen[len(seen)-tenth:])), mb(most))
	return nil
}

func maxOf(all []int64) (most int64) {
	for _, n := range all {
		most = max(most, n)
	}
	return most
}

func mb(n int64) float64 { return float64(n) / 1e6 }

// multiply makes more images of the one there is, which share its file.
func (p *place) multiply(ctx context.Context, images int) error {
	for _, statement := range []string{
		`INSERT INTO images (id, workspace_id, project_id, name, digest, blob_id, thumb_id, format, bytes, width, height, split, batch_id, tags, metadata, seq, created_at)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < CAST($1 AS BIGINT) - 1)
			SELECT s.id || '-' || n.i, s.workspace_id, s.project_id, s.name, s.digest || '-' || n.i, s.blob_id, s.thumb_id, s.format, s.bytes, s.width, s.height,
				s.split, s.batch_id, s.tags, s.metadata, s.seq + n.i, s.created_at FROM images s, n`,
		`UPDATE batches SET images = $1`,
		`UPDATE project_counts SET images = $1, unannotated = $1, train = $1, seq = $1 + 2, bytes = bytes * $1 WHERE images > 0`,
	} {
		if _, err := p.db.Conn().Writer.ExecContext(ctx, statement, images); err != nil {
			return err
		}
	}
	return p.analyze(ctx)
}

// resident is the memory that the server's process holds, in bytes (Linux).
func (s *server) resident() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kb * 1024, err
}

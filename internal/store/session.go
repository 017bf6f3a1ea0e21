package store

import (
	"context"
	"time"
)

// GetSession returns the data of a session that has not expired, or ErrNoRow.
func (tx *Tx) GetSession(ctx context.Context, tokenHash string) (string, error) {
	return queryOne(ctx, tx, scanText, `SELECT data FROM sessions WHERE token_hash = $1 AND expires_at > $2`, tokenHash, micros(tx.Now))
}

// PutSession keeps a session until it expires.
func (tx *Tx) PutSession(ctx context.Context, tokenHash, data string, expires time.Time) error {
	_, err := tx.exec(ctx, `INSERT INTO sessions (token_hash, data, expires_at) VALUES ($1, $2, $3)
		ON CONFLICT (token_hash) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at`,
		tokenHash, data, micros(expires))
	return err
}

// RemoveSession ends a session.
func (tx *Tx) RemoveSession(ctx context.Context, tokenHash string) error {
	_, err := tx.exec(ctx, `DELETE FROM sessions WHERE token_hash = $1`, tokenHash)
	return err
}

// TakeSession ends a session that has not expired and returns its data, or
// ErrNoRow: of two that take it at once one gets it.
func (tx *Tx) TakeSession(ctx context.Context, tokenHash string) (string, error) {
	return queryOne(ctx, tx, scanText, `DELETE FROM sessions WHERE token_hash = $1 AND expires_at > $2 RETURNING data`, tokenHash, micros(tx.Now))
}

// RemoveExpired removes what the web app keeps for a time: sessions, failed
// sign-ins, confirmations and answers to forms.
func (tx *Tx) RemoveExpired(ctx context.Context) error {
	day := micros(tx.Now.Add(-24 * time.Hour))
	for _, s := range []struct {
		statement string
		before    int64
	}{
		{`DELETE FROM sessions WHERE expires_at <= $1`, micros(tx.Now)},
		{`DELETE FROM sign_in_failures WHERE at <= $1`, day},
		{`DELETE FROM form_posts WHERE at <= $1`, day},
		{`DELETE FROM purge_confirmations WHERE expires_at <= $1`, day},
	} {
		if _, err := tx.exec(ctx, s.statement, s.before); err != nil {
			return err
		}
	}
	return nil
}

// LockSignIns has who counts failures of a name wait for who counts them already,
// until the transaction ends: else a burst would count before any of it is noted.
// On SQLite the writing transaction itself is the lock.
func (tx *Tx) LockSignIns(ctx context.Context, who string) error {
	if tx.db.conn.Dialect.Name() != "postgres" {
		return nil
	}
	_, err := tx.exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, "sign-in "+who)
	return err
}

// AddSignInFailure notes a failed sign-in under a name: an address of a person
// or of a machine.
func (tx *Tx) AddSignInFailure(ctx context.Context, who string) error {
	_, err := tx.exec(ctx, `INSERT INTO sign_in_failures (who, at) VALUES ($1, $2)`, who, micros(tx.Now))
	return err
}

// CountSignInFailures counts them since the given time, and returns the oldest of these.
func (tx *Tx) CountSignInFailures(ctx context.Context, who string, since time.Time) (n int64, oldest time.Time, err error) {
	type found struct {
		n      int64
		oldest time.Time
	}
	f, err := queryOne(ctx, tx, func(r row) (f found, err error) {
		return f, r.Scan(&f.n, instant{&f.oldest})
	}, `SELECT COUNT(*), COALESCE(MIN(at), 0) FROM sign_in_failures WHERE who = $1 AND at > $2`, who, micros(since))
	return f.n, f.oldest, err
}

// RemoveSignInFailures forgets them after a success.
func (tx *Tx) RemoveSignInFailures(ctx context.Context, who string) error {
	_, err := tx.exec(ctx, `DELETE FROM sign_in_failures WHERE who = $1`, who)
	return err
}

// GetFormPost returns where a form led when it was posted before, or ErrNoRow.
func (tx *Tx) GetFormPost(ctx context.Context, sessionHash, idempotency string) (location string, err error) {
	return queryOne(ctx, tx, scanText, `SELECT location FROM form_posts WHERE session_hash = $1 AND idempotency = $2`, sessionHash, idempotency)
}

// AddFormPost keeps where a form led. A second one with the same key is refused
// by the unique index.
func (tx *Tx) AddFormPost(ctx context.Context, sessionHash, idempotency, location string) error {
	_, err := tx.exec(ctx, `INSERT INTO form_posts (session_hash, idempotency, location, at) VALUES ($1, $2, $3, $4)`,
		sessionHash, idempotency, location, micros(tx.Now))
	return err
}

// Secret returns the server's secret of a name; where there is none yet, fresh
// becomes it. All processes on one database have the same.
func (tx *Tx) Secret(ctx context.Context, name, fresh string) (string, error) {
	if _, err := tx.exec(ctx, `INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, name, fresh); err != nil {
		return "", err
	}
	return queryOne(ctx, tx, scanText, `SELECT value FROM secrets WHERE name = $1`, name)
}

package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/cullet-vision/cullet"
)

// The cost of a password: 19 MiB, two passes. Two at a time at most, so that a
// crowd at the door cannot fill the memory.
const (
	passMemory = 19 * 1024 // KiB
	passTime   = 2
	passKey    = 32
)

var passSlots = make(chan struct{}, 2)

// HashPassword returns the argon2id hash of a password, in its usual text form.
// Too short a password is Invalid.
func HashPassword(ctx context.Context, password string) (string, error) {
	if len(password) < MinPassword {
		return "", cullet.E(cullet.Invalid, "the password is too short; take %d characters or more", MinPassword)
	}
	if len(password) > 1024 {
		return "", cullet.E(cullet.Invalid, "the password is longer than 1024 bytes")
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the program instead
	key, err := derive(ctx, password, salt, passTime, passMemory)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, passMemory, passTime, b64(salt), b64(key)), err
}

// CheckPassword says whether the password fits the hash. Without a hash it takes
// as long and says no.
func CheckPassword(ctx context.Context, hash, password string) (bool, error) {
	memory, time, salt, want := uint32(passMemory), uint32(passTime), make([]byte, 16), []byte(nil)
	if parts := strings.Split(hash, "$"); len(parts) == 6 {
		if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=1", &memory, &time); err != nil {
			return false, fmt.Errorf("reading a kept password: %w", err)
		}
		var err1, err2 error
		salt, err1 = base64.RawStdEncoding.DecodeString(parts[4])
		want, err2 = base64.RawStdEncoding.DecodeString(parts[5])
		if err1 != nil || err2 != nil {
			return false, fmt.Errorf("reading a kept password: its text is damaged")
		}
	}
	if len(password) > 1024 {
		return false, nil
	}
	got, err := derive(ctx, password, salt, time, memory)
	return err == nil && len(want) > 0 && subtle.ConstantTimeCompare(got, want) == 1, err
}

func derive(ctx context.Context, password string, salt []byte, time, memory uint32) ([]byte, error) {
	select {
	case passSlots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-passSlots }()
	return argon2.IDKey([]byte(password), salt, time, memory, 1, passKey), nil
}

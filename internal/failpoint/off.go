//go:build !failpoints

package failpoint

import "context"

// Enabled says whether this binary has failpoints.
const Enabled = false

// At is a place where what is done can still fail. It returns the error that a
// test injects there, else nil.
func At(string) error { return nil }

// Pass is a place where nothing can fail any more: after a commit.
func Pass(string) {}

// In names the act that the context's transaction is.
func In(ctx context.Context, _ string) context.Context { return ctx }

// Act is a named act, whose steps are places.
type Act struct{}

// Of returns the act that the context names.
func Of(context.Context) Act { return Act{} }

// At is a step of the act that can still fail.
func (Act) At(string) error { return nil }

// Pass is a step after which nothing can fail any more.
func (Act) Pass(string) {}

//go:build failpoints

package failpoint

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"
)

func TestArmed(t *testing.T) {
	defer func(a arm) { armed = a }(armed)
	armed = parse("act.write=enospc@2")
	act := Of(In(context.Background(), "act"))
	for n, want := range []error{nil, syscall.ENOSPC, nil} {
		if err := act.At("write"); !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("hit %d: %v, want %v", n+1, err, want)
		}
	}
	if err := errors.Join(act.At("commit"), Of(context.Background()).At("write"), At("else")); err != nil {
		t.Errorf("a place that is not armed: %v", err)
	}
	armed = parse("there=fail")
	if err := At("there"); !errors.Is(err, ErrInjected) {
		t.Errorf("fail: %v", err)
	}
	armed = parse("later=slow")
	began := time.Now()
	if err := At("later"); err != nil || time.Since(began) < time.Second {
		t.Errorf("slow took %v, %v", time.Since(began), err)
	}
}

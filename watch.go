package cullet

import (
	"fmt"
	"time"
)

// ClockWatch is what cleanup knows of the clock, and the wait it is in (C6). It is
// kept in the store, so that it outlives the server and all servers share it.
type ClockWatch struct {
	SeenAt time.Time // the clock at cleanup's last look; zero: it never looked

	Wait      string     // id of the wait, "" where cleanup does not wait
	Why       WaitReason //
	Began     time.Time  // when the wait began, by the clock that it distrusts
	Until     time.Time  // when it ends by itself
	TrustedAt time.Time  // what was due by then may be purged all the same; zero: nothing
}

// WaitReason is why cleanup waits.
type WaitReason string

// The reasons there are.
const (
	ClockAhead    WaitReason = "ahead"    // the clock moved ahead while the server ran
	ServerWasOff  WaitReason = "off"      // nobody looked for long
	ClocksApart   WaitReason = "apart"    // the server's clock and the database's disagree
	BackupIsFresh WaitReason = "restored" // the data came back from a backup
)

// Sight is one look at the clocks.
type Sight struct {
	Now      time.Time
	Database time.Time // the database's own clock; zero: it has none of its own
	Running  bool      // this process has looked before: a gap is a jump, not a server that was off
}

const (
	// A gap of more than this and three cleanup intervals between two looks is one in
	// which dates may have passed that nobody lived through.
	longGap = time.Hour
	// Clocks that are further apart than this disagree.
	clocksApart = 5 * time.Minute
)

// Look is the watch after one more look: whether cleanup goes on, begins to wait, or
// has waited long enough. id names a wait that begins.
func (w ClockWatch) Look(s Sight, interval, grace time.Duration, id string) ClockWatch {
	next := w
	next.SeenAt = s.Now
	most := longGap + 3*interval
	apart := !s.Database.IsZero() && s.Now.Sub(s.Database).Abs() > clocksApart
	if apart && s.Database.Before(s.Now) { // of two clocks that disagree the later one is not believed, lifted or not
		next.SeenAt = s.Database
	}
	gap := !w.SeenAt.IsZero() && next.SeenAt.Sub(w.SeenAt) > most
	switch {
	case apart:
		if w.Wait != "" && w.Why == ClocksApart && !gap { // it goes on; who lifted it has lifted this
			id = w.Wait
		}
		next = next.wait(ClocksApart, w.SeenAt, grace, id)
		if s.Now.Sub(next.SeenAt) <= most { // a step of the earlier clock to the later is no gap: the grace counts from the later
			next.Until = s.Now.Add(grace)
		}
		return next
	case gap:
		why := ServerWasOff
		if s.Running {
			why = ClockAhead
		}
		return next.wait(why, w.SeenAt, grace, id)
	case w.Wait == "":
		return next
	case s.Now.Before(w.Began): // the clock went back behind the wait's beginning: it begins anew from here
		return next.wait(w.Why, s.Now, grace, w.Wait)
	case !s.Now.Before(w.Until):
		return ClockWatch{SeenAt: s.Now}
	}
	return next
}

// wait begins or prolongs a wait at the last look. What may be purged meanwhile never
// grows by it.
func (w ClockWatch) wait(why WaitReason, trusted time.Time, grace time.Duration, id string) ClockWatch {
	if w.Wait == "" || trusted.Before(w.TrustedAt) {
		w.TrustedAt = trusted
	}
	if w.Wait != id || w.SeenAt.Before(w.Began) {
		w.Began = w.SeenAt
	}
	w.Wait, w.Why, w.Until = id, why, w.SeenAt.Add(grace)
	return w
}

// Waits says whether cleanup waits in a workspace whose people have lifted the wait
// with the given id, "" for none.
func (w ClockWatch) Waits(lifted string) bool { return w.Wait != "" && w.Wait != lifted }

// DueBy is the date up to which cleanup may purge in such a workspace at the time of
// the last look (C1, C6).
func (w ClockWatch) DueBy(lifted string) time.Time {
	if w.Waits(lifted) {
		return w.TrustedAt
	}
	return w.SeenAt
}

// Trusted is the time that can be relied on where now is what the clock says: a clock
// that jumped since the last look, or that cleanup waits for, is not believed.
func (w ClockWatch) Trusted(now time.Time, lifted string) time.Time {
	switch {
	case w.Waits(lifted):
		return w.TrustedAt
	case !w.SeenAt.IsZero() && now.Sub(w.SeenAt) > longGap:
		return w.SeenAt
	}
	return now
}

// Words says what happened to the clock.
func (w ClockWatch) Words() string {
	switch w.Why {
	case ClockAhead:
		return "The server's clock moved ahead by " + span(w.Began.Sub(w.TrustedAt))
	case ServerWasOff:
		return fmt.Sprintf("The server was off from %s to %s", w.TrustedAt.UTC().Format(minute), w.Began.UTC().Format(minute))
	case ClocksApart:
		return "The server's clock and the database's disagree"
	case BackupIsFresh:
		return "The server was restored from a backup"
	}
	return ""
}

const minute = "2 Jan 2006 15:04 UTC"

// span says in words how long something is.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return plural(int64((d+12*time.Hour)/(24*time.Hour)), "day")
	case d >= time.Hour:
		return plural(int64(d/time.Hour), "hour")
	}
	return plural(int64(d/time.Minute), "minute")
}

// DefaultProtectionWait is how long lifting purge protection takes unless the
// workspace says otherwise (C9).
const DefaultProtectionWait = 72 * time.Hour

// Protection says whether permanent deletion before the date is forbidden in the
// workspace (C9). trusted is a time that the clock watch trusts: a clock that
// jumped ahead lifts no protection.
func (w Workspace) Protection(trusted time.Time) bool {
	return !w.ProtectedAt.IsZero() && (w.UnprotectAt.IsZero() || trusted.Before(w.UnprotectAt))
}

// ReleaseFloor is how long a released item stays at the least (C8).
const ReleaseFloor = 24 * time.Hour

// MostPostponed bounds how far ahead a cleanup can be postponed in one act.
const MostPostponed = 365 * 24 * time.Hour

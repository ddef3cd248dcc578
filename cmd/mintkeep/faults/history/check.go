package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kind is the promise that an answer breaks.
type Kind string

// The kinds of violations; see the package's comment.
const (
	StillActive   Kind = "active after its revocation"
	ActiveAgain   Kind = "active again"
	Unissued      Kind = "active, never issued"
	WronglyDenied Kind = "inactive without a revocation"
	Duplicate     Kind = "issued twice"
	Twice         Kind = "claimed twice"
)

// Promise is what holds in spite of the fault.
type Promise struct {
	// LostFrom and LostTo are between when data was lost, if it was: from the former on, what was issued before the
	// latter may be rejected, what was claimed may be claimed again, and what was revoked without an acknowledgement
	// may be active again. What was revoked with one is inactive all the same. Zero: never.
	LostFrom, LostTo time.Duration
}

// lost is whether the outcome of the first event may be lost when the other happens.
func (p Promise) lost(came, gone Event) bool {
	return p.LostTo > 0 && came.Start <= p.LostTo && gone.End >= p.LostFrom
}

// Violation is an answer that breaks a promise.
type Violation struct {
	Kind    Kind
	Event   Event   // the answer
	History []Event // all that concerns the credential, in order
}

func (v Violation) String() string {
	const most = 40
	history := v.History
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n  %v\nall of it:\n", v.Kind, v.Event)
	if len(history) > most {
		fmt.Fprintf(&b, "  (%d more)\n", len(history)-most)
		history = history[len(history)-most:]
	}
	for _, e := range history {
		fmt.Fprintf(&b, "  %v\n", e)
	}
	return b.String()
}

// Result is the outcome of checking a history.
type Result struct {
	Violations []Violation
	// Issued counts the credentials, Revoked the acknowledged revocations, and CheckedAfter the checks that began after
	// the acknowledged revocation of their credential: without those, a result without violations would prove nothing.
	Issued, Revoked, CheckedAfter int
}

// Verify checks a history, whose events may come in any order.
func Verify(events []Event, p Promise) Result {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.Start, b.Start) })
	var r Result
	r.Violations = append(r.Violations, twice(events, Issue, Duplicate, Promise{})...)
	r.Violations = append(r.Violations, twice(events, Claim, Twice, p)...)
	credentials := gather(events)
	for _, name := range slices.Sorted(maps.Keys(credentials)) {
		credentials[name].verify(p, &r)
	}
	for _, e := range events {
		if e.Op == Revoke && e.Answer == Done {
			r.Revoked++
		}
	}
	return r
}

// twice finds what was acknowledged more than once.
func twice(events []Event, op Op, kind Kind, p Promise) []Violation {
	var violations []Violation
	first := map[string]Event{}
	for _, e := range events {
		if e.Op != op || e.Answer != Done {
			continue
		}
		if one, ok := first[e.On]; ok && !p.lost(one, e) {
			violations = append(violations, Violation{kind, e, []Event{one, e}})
		}
		first[e.On] = e
	}
	return violations
}

// credential is what is known of one credential.
type credential struct {
	issued      bool // and acknowledged
	issue       Event
	checks      []Event
	revocations []Event // of it and of its groups
	enablings   []Event // of its groups
}

func gather(events []Event) map[string]*credential {
	credentials, revocations, enablings := map[string]*credential{}, map[string][]Event{}, map[string][]Event{}
	of := func(name string) *credential {
		if credentials[name] == nil {
			credentials[name] = &credential{}
		}
		return credentials[name]
	}
	for _, e := range events {
		switch {
		case e.Op == Check:
			c := of(e.On)
			c.checks = append(c.checks, e)
		case e.Op == Issue && e.Answer == Done:
			c := of(e.On)
			c.issued, c.issue = true, e
		case e.Op == Revoke && e.Answer != Rejected:
			revocations[e.On] = append(revocations[e.On], e)
		case e.Op == Enable && e.Answer != Rejected:
			enablings[e.On] = append(enablings[e.On], e)
		}
	}
	for name, c := range credentials {
		for _, target := range append([]string{name}, c.issue.Groups...) {
			c.revocations = append(c.revocations, revocations[target]...)
			c.enablings = append(c.enablings, enablings[target]...)
		}
	}
	return credentials
}

func (c *credential) verify(p Promise, r *Result) {
	if c.issued {
		r.Issued++
	}
	violated := func(kind Kind, e Event) { r.Violations = append(r.Violations, Violation{kind, e, c.history()}) }
	var inactive []Event // checks that said so
	for _, check := range c.checks {
		revoked := slices.ContainsFunc(c.revocations, func(e Event) bool { return c.mustHold(e, check) })
		if revoked && check.Answer != Unknown {
			r.CheckedAfter++
		}
		switch {
		case check.Answer == Inactive:
			inactive = append(inactive, check)
			if c.issued && c.issue.End < check.Start && !c.mayBeInactive(check, p) {
				violated(WronglyDenied, check)
			}
		case check.Answer != Active:
		case !c.issued:
			violated(Unissued, check)
		case revoked:
			violated(StillActive, check)
		case check.Lease == 0 && slices.ContainsFunc(inactive, func(e Event) bool { return c.mustHold(e, check) && !c.undone(e, check, p) }):
			violated(ActiveAgain, check)
		}
	}
}

// mustHold is whether the check has to see what e said or did: e was answered before the check began, came after the
// issue, and nothing may have enabled what it revoked. What was enabled without an answer may take effect at any time, but
// not after a revocation that began later and was acknowledged.
func (c *credential) mustHold(e, check Event) bool {
	known := e.Answer == Done || e.Answer == Inactive
	if !known || e.End >= check.Start-check.Lease || e.Start < c.issue.End {
		return false
	}
	return !slices.ContainsFunc(c.enablings, func(on Event) bool {
		concerns := c.issue.Reversible && (on.On == e.On || e.Op == Check)
		pending := on.End > e.Start || on.Answer != Done && e.Op == Check
		return concerns && on.Start < check.End && pending
	})
}

// undone is whether what the earlier check saw may have been an unacknowledged revocation, lost before the later one.
func (c *credential) undone(earlier, later Event, p Promise) bool {
	return p.lost(earlier, later) && slices.ContainsFunc(c.revocations, func(e Event) bool { return e.Answer == Unknown && e.Start < earlier.End })
}

// mayBeInactive is whether the check may rightly say so.
func (c *credential) mayBeInactive(check Event, p Promise) bool {
	if p.lost(c.issue, check) {
		return true
	}
	return slices.ContainsFunc(c.revocations, func(e Event) bool {
		replayed := c.issue.Reversible && p.lost(e, check) // after the rollback, though it was reversed since
		begun := e.Start < check.End && (e.Answer != Done || e.End > c.issue.Start || replayed)
		return begun && !c.surelyEnabled(e, check, p)
	})
}

// surelyEnabled is whether what e disabled was enabled afterwards, and before the check, and that is not lost.
func (c *credential) surelyEnabled(e, check Event, p Promise) bool {
	return c.issue.Reversible && e.Answer == Done && slices.ContainsFunc(c.enablings, func(on Event) bool {
		return on.On == e.On && on.Answer == Done && on.Start > e.End && on.End < check.Start && !p.lost(on, check)
	})
}

// history is all that concerns the credential, in order.
func (c *credential) history() []Event {
	history := slices.Concat(c.checks, c.revocations, c.enablings)
	if c.issued {
		history = append(history, c.issue)
	}
	slices.SortStableFunc(history, func(a, b Event) int { return cmp.Compare(a.Start, b.Start) })
	return history
}

package doctor_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/doctor"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func found(t *testing.T, checks []doctor.Check, name string) doctor.Check {
	t.Helper()
	for _, c := range checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("there is no check %q in %v", name, checks)
	return doctor.Check{}
}

// The feed and the guards, as they are on a Redis: none, some that are well, and some that are not.
func TestFeedAndGuards(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t, "--appendonly", "yes")
	p := patient{url: srv.URL()}
	s := p.options(t).Store
	checks := p.wrong(t)
	if c := found(t, checks, "feed"); c.Found != "nothing was appended yet" {
		t.Errorf("an empty feed: %+v", c)
	}
	if c := found(t, checks, "guards"); c.Found != "none was heard of within the last minute" {
		t.Errorf("without guards: %+v", c)
	}
	for range 2 {
		if err := s.Feed().Probe(t.Context(), "probe_x"); err != nil {
			t.Fatal(err)
		}
	}
	heard := func(guards ...store.HeardGuard) {
		t.Helper()
		if err := s.SaveGuards(t.Context(), store.GuardsPart{Replica: "r", Guards: guards}); err != nil {
			t.Fatal(err)
		}
	}
	well := store.HeardGuard{ClientID: "orders", Instance: "orders-1", Version: "0.1.0", Lease: time.Second}
	heard(well)
	checks = p.wrong(t)
	if c := found(t, checks, "feed"); !strings.HasPrefix(c.Found, "2 entries, which reach back ") {
		t.Errorf("a feed with entries: %+v", c)
	}
	if c := found(t, checks, "guards"); c.Found != "1, all current" {
		t.Errorf("a guard that is well: %+v", c)
	}
	late := well
	late.Instance, late.Known = "orders-2", 2*time.Second
	heard(well, late, store.HeardGuard{ClientID: "billing", Known: -1})
	checks = p.wrong(t, "warn guards", "warn guard versions")
	if c := found(t, checks, "guards"); c.Found != "2 of 3 late: an unnamed one of client billing, orders-2; they ask at each call" {
		t.Errorf("late guards: %+v", c)
	}
	if c := found(t, checks, "guard versions"); c.Found != "1 of 3 send no version: an unnamed one of client billing" {
		t.Errorf("guards without a version: %+v", c)
	}
}

func TestFeedOff(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t, "--appendonly", "yes")
	checks := patient{url: srv.URL(), environ: []string{"MINTKEEP_FEED=off"}}.wrong(t)
	if c := found(t, checks, "feed"); !strings.HasPrefix(c.Found, "off") {
		t.Errorf("%+v", c)
	}
}

// Without the rights of the feed, the fix is the command that gives them.
func TestFeedRights(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t, "--appendonly", "yes")
	args := []any{"ACL", "SETUSER", "mint", "reset", "on", ">hunter2"}
	for rule := range strings.FieldsSeq(storetest.DocumentedRights("mintkeep") + " -xadd") {
		args = append(args, rule)
	}
	if _, err := srv.Do(args...); err != nil {
		t.Fatal(err)
	}
	p := patient{url: strings.Replace(srv.URL(), "://", "://mint:hunter2@", 1)}
	c := found(t, p.examine(t), "feed")
	if want := "ACL SETUSER mint +xadd, or set MINTKEEP_FEED=off"; c.State != doctor.Fail || c.Fix != want {
		t.Errorf("got %+v, want the fix %q", c, want)
	}
}

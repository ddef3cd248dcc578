package fence_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/fence"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// What was deleted after the backup is not lost: the store's own log says so after the fence, once. What is lost stays so.
func TestDeletionsAreRecorded(t *testing.T) {
	b := storetest.Embedded(t)
	s, ctx, now := b.Open(t), t.Context(), b.Clock.Now()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	created := func(target, secret string) {
		t.Helper()
		e := store.Event{At: now, Actor: "user:usr_ann", Action: "client.created", Target: target, Detail: map[string]string{"secret": secret}}
		must(s.Audit(ctx, e))
	}
	created("client:deleted", "sec_1")
	created("client:lost", "sec_2")
	created("client:bare", "sec_3")
	must(s.CreateClient(ctx, &store.Client{ID: "deleted", Metadata: store.ClientMetadata{CreatedAt: now}}))
	must(s.CreateClient(ctx, &store.Client{ID: "bare", Metadata: store.ClientMetadata{CreatedAt: now}}))

	later := now.Add(time.Minute)
	plan := fence.Make([]store.Event{
		{At: later, Actor: "user:usr_ann", Action: "client.deleted", Target: "client:deleted"},
		{At: later, Actor: "user:usr_ann", Action: "secret.ended", Target: "client:bare", Detail: map[string]string{"secret": "sec_3"}},
	}, later)
	b.Clock.Advance(time.Hour)
	for range 2 {
		_, err := fence.Run(ctx, fence.Options{Store: s, Plan: plan, Now: b.Clock.Now})
		must(err)
	}
	events, err := audit.All(ctx, s)
	must(err)
	got := map[string][]string{}
	for _, e := range events[3:] {
		got[e.Action] = append(got[e.Action], e.Actor+" "+e.Target+" "+e.Detail["secret"]+" "+e.Detail["revoked_by"])
	}
	delete(got, "fence")
	want := map[string][]string{
		"client.deleted": {"operator (mintkeep fence) client:deleted  user:usr_ann"},
		"secret.ended":   {"operator (mintkeep fence) client:bare sec_3 user:usr_ann"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("recorded (-want +got):\n%s", d)
	}
	lost, err := audit.FindLost(ctx, s, events)
	must(err)
	if len(lost) != 1 || lost[0].Target != "client:lost" {
		t.Errorf("lost is %v, want client:lost alone", lost)
	}
}

package fence_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/fence"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// What the operator is told: what the export says exists and the restored data has not, which clients cannot
// authenticate, and of the changes only those that the data has not.
func TestLook(t *testing.T) {
	b := storetest.Redis(t).Backend(t)
	s, ctx := b.Open(t), t.Context()
	now := b.Clock.Now().UTC().Truncate(time.Millisecond)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	client := func(id, secret string) {
		t.Helper()
		must(s.CreateClient(ctx, &store.Client{ID: id, Secrets: []store.Secret{{ID: secret, Digest: store.DigestOf(secret), CreatedAt: now}}}))
	}
	client("kept", "sec_1")
	client("replaced", "sec_2")
	client("bare", "sec_3")
	must(s.RevokeSecret(ctx, "bare", "sec_3", store.Cause{}))
	client("off", "sec_4")
	must(s.RevokeSecret(ctx, "off", "sec_4", store.Cause{}))
	must(s.DisableClient(ctx, "off", store.Cause{}))

	// The log of the restored data ends here.
	var export []store.Event
	for i, e := range []store.Event{
		{Action: "client.created", Target: "client:kept", Detail: map[string]string{"secret": "sec_1"}},
		{Action: "client.updated", Target: "client:kept", Detail: map[string]string{"changed": "scope"}},
		{Action: "client.created", Target: "client:never", Detail: map[string]string{"secret": "sec_9"}},
	} {
		e.At = now.Add(time.Duration(i-60) * time.Minute)
		body, err := json.Marshal(e)
		must(err)
		e.ID = fmt.Sprintf("%d-0", e.At.UnixMilli())
		b.Do("XADD", "mk:audit", e.ID, "e", "1"+string(body))
		export = append(export, e)
	}
	later := func(action, target string, detail ...string) {
		e := store.Event{At: now.Add(time.Minute), Actor: "user:usr_ann", Action: action, Target: target, Detail: map[string]string{}}
		for i := 0; i < len(detail); i += 2 {
			e.Detail[detail[i]] = detail[i+1]
		}
		export = append(export, e)
	}
	later("client.updated", "client:replaced", "changed", "scope")
	later("secret.rotated", "client:replaced", "secret", "sec_5", "overlap", "24h0m0s")
	later("secret.rotated", "client:kept", "secret", "sec_6", "overlap", "24h0m0s")
	later("secret.ended", "client:kept", "secret", "sec_6")
	later("client.created", "client:young", "secret", "sec_7")
	later("client.created", "client:gone", "secret", "sec_8")
	later("client.deleted", "client:gone")
	later("user.created", "user:usr_bob", "email", "bob@example.com")
	later("key.created", "key:key_1", "user", "usr_bob")
	later("key.created", "key:key_2", "user", "usr_bob")
	later("key.revoked", "key:key_2", "user", "usr_bob")
	later("user.created", "user:usr_eve")
	later("user.created.failed", "user:usr_eve")

	result, err := fence.Run(ctx, fence.Options{Store: s, Plan: fence.Make(export, now.Add(2*time.Minute)), DryRun: true, Now: b.Clock.Now})
	must(err)
	plan := fence.Make(export, now)
	if got := plan.Names()["user:usr_bob"]; got != "bob@example.com" {
		t.Errorf("the lost user is called %q, want the email of the event", got)
	}
	var lost, reviews []string
	for _, l := range result.Lost {
		lost = append(lost, l.Target+" "+l.Secret)
	}
	for _, r := range result.Reviews {
		if r.Event.Action == "client.updated" {
			reviews = append(reviews, r.Event.Target)
		}
	}
	if d := cmp.Diff([]string{"client:never ", "client:young ", "user:usr_bob ", "key:key_1 ", "client:replaced sec_5"}, lost); d != "" {
		t.Errorf("lost (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"client:replaced"}, reviews); d != "" {
		t.Errorf("to look at (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"bare"}, result.Locked); d != "" {
		t.Errorf("without an active secret (-want +got):\n%s", d)
	}
}

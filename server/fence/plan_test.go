package fence_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/fence"
	"github.com/mintkeep/mintkeep/store"
)

// planned is the plan for an export: "do target", and "look action target".
func planned(t *testing.T, now time.Time, export string) []string {
	t.Helper()
	events, unreadable, err := fence.Read(strings.NewReader(export), time.Time{})
	if err != nil || len(unreadable) > 0 {
		t.Fatal(err, unreadable)
	}
	p := fence.Make(events, now)
	got := []string{}
	for _, s := range p.Steps {
		got = append(got, s.Do+" "+s.Event.Target)
	}
	for _, l := range p.Reviews {
		got = append(got, "look "+l.Event.Action+" "+l.Event.Target)
	}
	return got
}

func event(id int, action, target, detail string) string {
	return fmt.Sprintf(`{"id":"%d-1","at":"2026-01-02T03:04:%02dZ","actor":"x","action":%q,"target":%q,"detail":{%s}}`+"\n", 1000+id, id, action, target, detail)
}

func TestPlan(t *testing.T) {
	now := time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC)
	disabled, enabled := event(1, "client.disabled", "client:a", ""), event(2, "client.enabled", "client:a", "")
	for _, tt := range []struct {
		name, export string
		want         []string
	}{
		{"nothing", "", []string{}},
		{"disabled", disabled, []string{"disable client client:a"}},
		{"and enabled again", disabled + enabled, []string{}},
		{"newest first, as it is exported", enabled + disabled, []string{}},
		{"and disabled again", event(3, "client.disabled", "client:a", "") + enabled + disabled, []string{"disable client client:a"}},
		{"another was enabled", disabled + event(2, "client.enabled", "client:b", ""), []string{"disable client client:a"}},
		{"pages, twice", fmt.Sprintf(`{"items":[%s],"next_cursor":"x"}`, disabled) + disabled, []string{"disable client client:a"}},
		{"deleted and registered again", event(1, "client.deleted", "client:a", "") + event(2, "client.created", "client:a", ""), []string{"delete client client:a"}},
		{"people", event(1, "user.demoted", "user:u", "") + event(2, "user.disabled", "user:u", "") + event(3, "user.promoted", "user:u", ""), []string{"disable user user:u", "demote user and promote again user:u", "look user.promoted user:u"}},
		{"demoted at last", event(1, "user.demoted", "user:u", "") + event(2, "user.promoted", "user:u", "") + event(3, "user.demoted", "user:u", ""), []string{"demote user user:u"}},
		{"only promoted", event(1, "user.promoted", "user:u", ""), []string{}},
		{"a person enabled again has lost the invite", event(1, "user.disabled", "user:u", "") + event(2, "user.enabled", "user:u", ""), []string{"revoke invite user:u"}},
		{"an enabling that failed undoes nothing", disabled + enabled + event(3, "client.enabled.failed", "client:a", ""), []string{"disable client client:a"}},
		{"one that was tried again does", disabled + enabled + event(3, "client.enabled.failed", "client:a", "") + event(4, "client.enabled", "client:a", ""), []string{}},
		{"a rotation that failed ends nothing", event(1, "key.rotated", "key:k", `"overlap":"0s"`) + event(2, "key.rotated.failed", "key:k", `"overlap":"0s"`) +
			event(3, "secret.rotated", "client:a", `"overlap":"0s","secret":"sec_1"`) + event(4, "secret.rotated.failed", "client:a", `"overlap":"0s","secret":"sec_1"`), []string{}},
		{"of a change that failed it is not known", event(1, "client.updated", "client:a", "") + event(2, "client.updated.failed", "client:a", ""), []string{"look client.updated client:a"}},
		{"whether it ended is not known", event(1, "client.deleted", "client:a", `"outcome":"unknown"`), []string{"delete client client:a"}},
		{"two secrets", event(1, "secret.ended", "client:a", `"secret":"s1"`) + event(2, "secret.leaked", "client:a", `"secret":"s2"`), []string{"revoke secret client:a", "revoke secret client:a"}},
		{
			"rotated and not confirmed", event(1, "key.rotated", "key:k", `"overlap":"0s","successor":"n"`) + event(2, "key.revoked", "key:n", `"reason":"the rotation failed"`),
			[]string{"revoke key key:k", "revoke key key:n"},
		},
		{"rotated, over", event(1, "key.rotated", "key:k", `"overlap":"1m0s"`), []string{"revoke key key:k"}},
		{"rotated, not over", event(1, "secret.rotated", "client:a", `"secret":"s","overlap":"24h0m0s"`), []string{"look secret.rotated client:a"}},
		{"narrowed", event(1, "client.updated", "client:a", `"changed":"scope"`), []string{"look client.updated client:a"}},
		{"a key disabled", event(1, "key.disabled", "key:k", ""), []string{"disable key key:k"}},
		{"and enabled again", event(1, "key.disabled", "key:k", "") + event(2, "key.enabled", "key:k", ""), []string{}},
		{
			"a key narrowed", event(1, "key.updated", "key:k", `"changed":"scope metadata","scope":"read write"`) + event(2, "key.updated", "key:k", `"changed":"expires_at rate_limit"`) +
				event(3, "key.updated", "key:k", `"changed":"scope","scope":"read"`),
			[]string{"narrow the expiry of key key:k", "narrow the scope of key key:k", "look key.updated key:k"},
		},
		{"a key renamed", event(1, "key.updated", "key:k", `"changed":"name description"`), []string{}},
		{"password", event(1, "user.password_set", "user:u", `"by":"invite"`), []string{"revoke invite user:u", "look user.password_set user:u"}},
		{"reset", event(1, "user.password_revoked", "user:u", "") + event(2, "user.invited", "user:u", ""), []string{"revoke password user:u", "revoke invite user:u"}},
		{"reset and set again", event(1, "user.password_revoked", "user:u", "") + event(2, "user.password_set", "user:u", `"by":"invite"`), []string{"revoke invite user:u", "look user.password_set user:u"}},
		{"reset, and setting another failed", event(1, "user.password_revoked", "user:u", "") + event(2, "user.password_set", "user:u", "") + event(3, "user.password_set.failed", "user:u", ""), []string{"revoke password user:u", "revoke invite user:u", "look user.password_set.failed user:u"}},
		{"moved", event(1, "user.updated", "user:u", `"changed":"email name"`), []string{"revoke invite user:u", "look user.updated user:u"}},
		{"of no consequence", event(1, "key.created", "key:k", "") + event(2, "user.updated", "user:u", `"changed":"name"`), []string{}},
		{"of a newer version", event(1, "tenant.ended", "tenant:t", ""), []string{"look tenant.ended tenant:t"}},
	} {
		if diff := cmp.Diff(tt.want, planned(t, now, tt.export)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

// A secret that was brought again has another id. A backup may have it under each that it ever had, so its revocation is
// replayed under each. One that another secret replaced is left alone.
func TestPlanRevokesEarlierIDs(t *testing.T) {
	rotated := func(id int, client, secret, replaces string) string {
		return event(id, "secret.rotated", "client:"+client, fmt.Sprintf(`"overlap":"unlimited","secret":%q,"replaces":%q`, secret, replaces))
	}
	export := rotated(1, "a", "sec_2", "sec_1") + rotated(2, "a", "sec_3", "sec_2") + rotated(3, "a", "sec_8", "sec_7") +
		rotated(4, "b", "sec_3", "sec_9")
	for _, action := range []string{"secret.ended", "secret.leaked"} {
		events, _, err := fence.Read(strings.NewReader(export+event(5, action, "client:a", `"secret":"sec_3"`)), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range fence.Make(events, time.Now()).Steps {
			got = append(got, s.Do+" "+s.Event.Target+" "+s.Event.Detail["secret"])
		}
		want := []string{"revoke secret client:a sec_3", "revoke secret client:a sec_2", "revoke secret client:a sec_1"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", action, diff)
		}
	}
}

// Each action of the audit log has its place in the plan.
func TestEveryActionIsKnown(t *testing.T) {
	for _, action := range audit.Actions() {
		if reviewOf(t, string(action)) == "not known to this version" {
			t.Errorf("fence does not know %s: it belongs to replays, settled or reviews", action)
		}
	}
	if reviewOf(t, "tenant.ended") != "not known to this version" {
		t.Error("fence knows an action that does not exist")
	}
}

// reviewOf is what the operator is told of an event that cannot be replayed.
func reviewOf(t *testing.T, action string) string {
	t.Helper()
	p := fence.Make([]store.Event{{Action: action, Target: "x:y"}}, time.Now())
	if len(p.Reviews) == 0 {
		return ""
	}
	return p.Reviews[0].Why
}

func TestReadMistakes(t *testing.T) {
	for export, says := range map[string]string{
		"x": "line 1 ", "\n{": "line 2 ", `{"at":"2026-01-02T03:04:05Z"}`: "line 1 ", event(1, "key.revoked", "key:k", "") + "{}": "line 2 ",
	} {
		if _, _, err := fence.Read(strings.NewReader(export), time.Time{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want it to name %s", export, err, says)
		}
	}
	events, _, err := fence.Read(strings.NewReader(event(1, "key.revoked", "key:k", "")+event(9, "key.revoked", "key:l", "")), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil || len(events) != 1 || events[0].Target != "key:l" {
		t.Errorf("since: got %v, %v", events, err)
	}
}

// TestReadCutShort: a line that was cut short, wherever, costs the events of this line and no others, and is named.
func TestReadCutShort(t *testing.T) {
	before, cut, after := event(1, "key.revoked", "key:a", ""), event(2, "key.revoked", "key:b", `"reason":"x"`), event(3, "key.revoked", "key:c", "")
	for end := 1; end < len(cut)-1; end++ {
		for _, tt := range []struct {
			export string
			want   []string
		}{
			{before + cut[:end], []string{"key:a"}},
			{before + cut[:end] + "\n" + after, []string{"key:a", "key:c"}},
			{before + cut[:end] + after + after, []string{"key:a", "key:c"}}, // on the same line, which is lost as a whole
			{before + cut[:end] + strings.Repeat("\x00", 100) + "\n" + after, []string{"key:a", "key:c"}},
		} {
			events, unreadable, err := fence.Read(strings.NewReader(tt.export), time.Time{})
			var got []string
			for _, e := range events {
				got = append(got, e.Target)
			}
			if err != nil || !cmp.Equal(got, tt.want) || !cmp.Equal(unreadable, []int{2}) {
				t.Fatalf("%q: got %v, the unreadable lines %v, %v", tt.export, got, unreadable, err)
			}
		}
	}
	pages := "{\n\"items\": [\n" + strings.TrimSpace(before) + "\n]\n}\n{\"items\":[" + strings.TrimSpace(after) + "]}"
	if events, unreadable, err := fence.Read(strings.NewReader(pages), time.Time{}); err != nil || len(events) != 2 || len(unreadable) > 0 {
		t.Errorf("pages: got %v, %v, %v", events, unreadable, err)
	}
}

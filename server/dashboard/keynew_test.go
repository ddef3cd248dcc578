package dashboard_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestExpiryOfNewKey: a key expires after some days, at a time that its user types, or never; each says when.
func TestExpiryOfNewKey(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := servertest.New(t, b, "MINTKEEP_KEY_SCOPES=read=Read orders;write=Create and change orders")
	v, _ := newcomer(t, s, "ada@example.com")
	now := b.Clock.Now().UTC()
	moment := func(after time.Duration) string { return now.Add(after).Format("2 Jan 2006, 15:04 UTC") }
	const path = "/settings/keys"
	p := v.get(path + "/new").want(http.StatusOK)
	p.says("Read orders", "Create and change orders", "manage your API keys through the API", "Never not recommended", "Date and time (UTC)")
	for _, days := range []int{7, 30, 90, 365} {
		p.says("expires " + moment(time.Duration(days)*24*time.Hour))
	}
	if got := p.form(path).Get("expiry"); got != "90" {
		t.Errorf("selected is %q, want 90 days", got)
	}
	create := func(fields ...string) page { return v.submit(v.get(path+"/new"), path, fields...) }
	typed := now.Add(100 * time.Hour)
	for _, tt := range []struct{ name, expiry, at, says string }{
		{"a week", "7", "", "Expires" + moment(7*24*time.Hour)},
		{"never", "never", "", "Expiresnever"},
		{"typed", "custom", typed.Format("2006-01-02T15:04"), "Expires" + typed.Format("2 Jan 2006, 15:04 UTC")},
		{"typed without a picker", "custom", typed.Format("2006-01-02 15:04"), "Expires" + typed.Format("2 Jan 2006, 15:04 UTC")},
	} {
		made := create("name", tt.name, "expiry", tt.expiry, "expires_at", tt.at).want(http.StatusOK).says(tt.says)
		s.Secret(made.value("secret"))
	}
	for _, tt := range []struct{ expiry, at, says string }{
		{"custom", "", "Date and time must be a date and a time in UTC, such as 2027-01-31 12:00."},
		{"custom", "tomorrow", "Date and time must be a date and a time in UTC, such as 2027-01-31 12:00."},
		{"custom", now.Add(-time.Hour).Format("2006-01-02T15:04"), "Date and time must be in the future."},
	} {
		p := create("name", "wrong", "expiry", tt.expiry, "expires_at", tt.at).want(http.StatusBadRequest).wrongAt("expires_at", tt.says)
		if p.value("expires_at") != tt.at || p.form(path).Get("expiry") != "custom" {
			t.Errorf("%q: what was typed is lost", tt.at)
		}
	}
	create("name", "both", "expiry", "30", "expires_at", typed.Format("2006-01-02T15:04")).want(http.StatusBadRequest).says("Expiration is selected twice; select the date and time, or clear it.")
	create("name", "wrong", "expiry", "8").want(http.StatusBadRequest).says("Expiration must be selected.")
	wrong := create("name", "wrong", "rate_limit", "often", "description", "what for").want(http.StatusBadRequest)
	if wrong.value("rate_limit") != "often" || wrong.value("description") != "what for" {
		t.Error("what was typed is lost")
	}
	made := create("name", "described", "rate_limit", "600/m", "description", "what for").want(http.StatusOK)
	s.Secret(made.value("secret"))
	v.get(v.get("/settings?q=described").link("described")).says("what for", "600/m")
}

// TestSameName: a second key of a name is created once its user was warned, and again for another such name.
func TestSameName(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := newcomer(t, s, "ada@example.com")
	v.makeKey("deploy")
	v.makeKey("other")
	other, _ := newcomer(t, s, "bob@example.com")
	other.makeKey("deploy") // of which ada is not told
	const path, warning = "/settings/keys", "You already have an active key with the name “"
	p := v.submit(v.get(path+"/new"), path, "name", " Deploy ", "description", "the second").want(http.StatusOK).says(warning + "deploy”, created just now.")
	if p.value("description") != "the second" || strings.TrimSpace(p.value("name")) != "Deploy" {
		t.Error("what was typed is lost")
	}
	if got := v.get("/settings").keyNames(); len(got) != 2 {
		t.Errorf("there are %q", got)
	}
	p = v.submit(p, path, "name", "other").want(http.StatusOK).says(warning + "other”")
	made := v.submit(p, path).want(http.StatusOK)
	if strings.Contains(made.visible(), warning) {
		t.Fatal("it is warned of again")
	}
	s.Secret(made.value("secret"))
	if got := v.get("/settings").keyNames(); len(got) != 3 {
		t.Errorf("there are %q", got)
	}
}

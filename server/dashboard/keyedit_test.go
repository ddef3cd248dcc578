package dashboard_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestEditKey: what describes a key is saved; what takes something away from it is asked about first, and holds at the next
// request on every replica.
func TestEditKey(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s, replica := servertest.New(t, b), servertest.New(t, b)
	v, u := newcomer(t, s, "ada@example.com")
	key := s.Key(t, u, servertest.M{"name": "deploy", "scope": "read write mintkeep:keys"})
	path := "/settings/keys/" + key.ID
	edit := path + "/edit"

	v.get(path + "?done=key-saved").says("The key is saved.")
	v.submit(v.get(edit), edit, "name", "release", "description", "of the shop", "rate_limit", "600/m").wantTo(path + "?done=key-saved")
	v.get(path).says("release", "of the shop", "600/m", "never")
	again := v.get(edit)
	if again.value("name") != "release" || again.value("description") != "of the shop" || again.value("rate_limit") != "600/m" {
		t.Error("the form does not have what was saved")
	}
	v.submit(again, edit, "rate_limit", "", "description", "").wantTo(path + "?done=key-saved")
	if p := v.get(path); strings.Contains(p.visible(), "600/m") || strings.Contains(p.visible(), "of the shop") {
		t.Error("what was cleared is still there")
	}

	// What is wrong is said at the field, and what was typed is kept.
	for _, tt := range []struct{ field, typed, says string }{
		{"name", " ", "Name must not be empty."},
		{"name", strings.Repeat("x", 101), "Name must have at most 100 characters."},
		{"description", strings.Repeat("x", 501), "Description must have at most 500 characters."},
		{"expires_at", "soon", "Date and time must be a date and a time in UTC, such as 2027-01-31 12:00."},
		{"expires_at", "2020-01-01T00:00", "Date and time must be in the future."},
	} {
		p := v.submit(v.get(edit), edit, tt.field, tt.typed).want(http.StatusBadRequest)
		if p.wrongAt(tt.field, tt.says); p.value(tt.field) != tt.typed && strings.TrimSpace(tt.typed) != "" {
			t.Errorf("%s: what was typed is lost", tt.field)
		}
	}
	if p := v.submit(v.get(edit), edit, "rate_limit", "often").want(http.StatusBadRequest); p.value("rate_limit") != "often" {
		t.Error("the rate limit that was typed is lost")
	}

	// A scope less, and an earlier expiry.
	s.API(t, http.MethodGet, "/api/v1/keys", key.Plain, nil).Want(t, http.StatusOK, "")
	form := v.get(edit).form(edit)
	form["scope"] = []string{"read"}
	at := b.Clock.Now().Add(30 * 24 * time.Hour).UTC()
	form.Set("expires_at", at.Format("2006-01-02T15:04"))
	asked := v.post(edit, form).want(http.StatusOK).says("Take rights from the API key “release”?",
		"The scopes write and mintkeep:keys are removed at once.", "The key expires at "+at.Format("2 Jan 2006, 15:04 UTC"), "until now: never", "cannot be given back")
	replica.API(t, http.MethodGet, "/api/v1/keys", key.Plain, nil).Want(t, http.StatusOK, "")
	back := asked.form(edit)
	back.Set("back", "yes")
	if p := v.post(edit, back).want(http.StatusOK); len(p.form(edit)["scope"]) != 1 || p.value("expires_at") == "" {
		t.Error("Cancel loses what was chosen")
	}
	v.confirm(asked, edit).wantTo(path + "?done=key-narrowed")
	replica.API(t, http.MethodGet, "/api/v1/keys", key.Plain, nil).Want(t, http.StatusForbidden, "insufficient_scope")
	replica.Me(t, key.Plain).Want(t, http.StatusOK, "")
	v.get(path+"?done=key-narrowed").says("The key is saved.", at.Format("2 Jan 2006, 15:04 UTC"))

	// Nothing is given back: the form does not offer it, and the answer to one that asks says why.
	if got := v.get(edit).all("input"); len(got) == 0 || strings.Contains(v.get(edit).Body, `value="write"`) {
		t.Error("the form offers a scope that the key has lost")
	}
	form = v.get(edit).form(edit)
	form.Set("scope", "read")
	form.Add("scope", "write")
	v.post(edit, form).want(http.StatusBadRequest).says("cannot be widened")
	form.Set("scope", "read")
	form.Set("expires_at", at.Add(time.Hour).Format("2006-01-02T15:04"))
	v.post(edit, form).want(http.StatusBadRequest).says("Date and time cannot be later than")
}

// A form that was loaded before another change of the key does not take that back.
func TestStaleKeyForm(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, u := newcomer(t, s, "ada@example.com")
	key := s.Key(t, u, servertest.M{"name": "deploy", "scope": "read write"})
	path := "/settings/keys/" + key.ID
	edit := path + "/edit"
	for member, changed := range map[string]any{
		"name": "release", "description": "of the shop", "rate_limit": "600/m", "scope": "read",
		"expires_at": s.Clock.Now().Add(time.Hour).Format(time.RFC3339),
	} {
		form := v.get(edit).form(edit)
		form.Set("name", "typed beside "+member)
		s.Admin(t, http.MethodPatch, "/admin/keys/"+key.ID, servertest.M{member: changed}).Want(t, http.StatusOK, "")
		before := s.Admin(t, http.MethodGet, "/admin/keys/"+key.ID, nil).Body
		p := v.post(edit, form).want(http.StatusConflict).says("The key was changed after this page was loaded, and nothing was saved.")
		if after := s.Admin(t, http.MethodGet, "/admin/keys/"+key.ID, nil).Body; after != before {
			t.Errorf("a form from before a change of %s: got %s, want %s", member, after, before)
		}
		if again := p.form(edit); member == "name" && again.Get("name") != changed {
			t.Errorf("the form shows %v", again)
		}
		v.submit(p, edit, "name", "typed").wantTo(path + "?done=key-saved")
	}
}

// TestDisableKey: a disabled key is rejected everywhere until it is enabled, by its owner or an operator; each is asked first.
func TestDisableKey(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s, replica := servertest.New(t, b), servertest.New(t, b)
	op, _ := chief(t, s)
	v, u := newcomer(t, s, "ada@example.com")
	key := s.Key(t, u, servertest.M{"name": "deploy", "scope": "read"})
	s.Me(t, key.Plain).Want(t, http.StatusOK, "")
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	own, theirs := "/settings/keys/"+key.ID, "/operator/keys/"+key.ID
	p := v.get(own+"/disable").want(http.StatusOK).says("Disable the API key “deploy”?", "Used just now from 127.0.0.1.", "rejected at once")
	if !p.cancelsTo(own) {
		t.Error("Cancel has not the focus")
	}
	replica.Me(t, key.Plain).Want(t, http.StatusOK, "")
	done := v.submit(p, own+"/disable").wantTo(own + "?done=key-disabled")
	v.get(done.Header.Get("Location")).says("The key is disabled. It stopped working at " + b.Clock.Now().UTC().Format("2 Jan 2006, 15:04"))
	replica.Me(t, key.Plain).Want(t, http.StatusUnauthorized, "invalid_token")
	v.get(own).says("Disabled", "Disabled by you", "rejected until it is enabled again")
	if got := v.get("/settings?state=disabled").says("Disabled").keyNames(); len(got) != 1 {
		t.Errorf("the list of disabled keys has %q", got)
	}
	op.submit(op.get(theirs+"/enable").says("Enable the API key “deploy”?", "with the scopes read", u.Email), theirs+"/enable").wantTo(theirs + "?done=key-enabled")
	replica.Me(t, key.Plain).Want(t, http.StatusOK, "")
	op.submit(op.get(theirs+"/disable"), theirs+"/disable").wantTo(theirs + "?done=key-disabled")
	replica.Me(t, key.Plain).Want(t, http.StatusUnauthorized, "invalid_token")
	v.get(own).says("Disabled by an operator")
	v.submit(v.get(own+"/revoke"), own+"/revoke", "confirm", "deploy").wantTo("/settings?done=revoked")
	v.get(own + "/enable").wantTo(own + "?done=inactive")
	v.get(own + "/edit").wantTo(own + "?done=inactive")
}

// TestNoticesOfKeys: a user sees above their keys which ones expire within a week, and which were reported.
func TestNoticesOfKeys(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	v, u := newcomer(t, s, "ada@example.com")
	if p := v.get("/settings"); strings.Contains(p.visible(), "within 7 days") || strings.Contains(p.visible(), "reported") {
		t.Errorf("a user without a key is told of one: %s", p.visible())
	}
	leaked := s.Key(t, u, servertest.M{"name": "in a log"})
	s.Key(t, u, servertest.M{"name": "unused"})
	s.Key(t, u, servertest.M{"name": "soon over", "expires_at": b.Clock.Now().Add(48 * time.Hour).Format(time.RFC3339)})
	s.Key(t, u, servertest.M{"name": "for long", "expires_at": b.Clock.Now().Add(480 * time.Hour).Format(time.RFC3339)})
	s.Admin(t, http.MethodPost, "/admin/keys/report", servertest.M{"credentials": []string{leaked.Plain}}).Want(t, http.StatusOK, "")
	p := v.get("/settings").says("A key was reported as leaked and revoked.", "A key expires within 7 days.")
	if p.link("in a log") != "/settings/keys/"+leaked.ID || p.link("soon over") == "" {
		t.Errorf("the banner does not lead to the keys: %s", p.visible())
	}
	v.get("/settings/keys/"+leaked.ID).says("Leaked", "reported as leaked")
	v.get("/settings?state=leaked").says("Leaked")

	b.Clock.Advance(91 * 24 * time.Hour)
	v.signIn(u.Email, secret)
	if got := v.get(v.get("/settings").says("not used for 90 days").link("See which, and revoke what is no longer needed")).keyNames(); !slices.Equal(got, []string{"unused"}) {
		t.Errorf("unused are %q", got)
	}
}

// A change of a key that was applied and not confirmed is confirmed by the same form again.
func TestUnconfirmedKeyFormIsRetried(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	replica := storetest.Replica(t, redis.Addr())
	redis.AwaitReplicas(1)
	s := servertest.New(t, redis.Backend(t), "MINTKEEP_REVOKE_DURABILITY=replicas:1")
	v, u := newcomer(t, s, "ada@example.com")
	key := s.Key(t, u, servertest.M{"name": "deploy", "scope": "read write"})
	path := "/settings/keys/" + key.ID
	edit := path + "/edit"
	form := v.get(edit).form(edit)
	form["scope"] = []string{"read"}
	form.Set("expires_at", s.Clock.Now().UTC().Add(time.Hour).Format("2006-01-02T15:04"))
	confirmed := v.post(edit, form).want(http.StatusOK).form(edit)
	confirmed.Set("confirmed", "yes")

	replica.Freeze()
	for range 2 {
		v.post(edit, confirmed).want(http.StatusServiceUnavailable).says("could not be confirmed")
	}
	replica.Thaw()
	p := v.post(edit, confirmed)
	for p.Status == http.StatusServiceUnavailable { // the replica has to catch up
		p = v.post(edit, confirmed)
	}
	p.wantTo(path + "?done=key-saved")
}

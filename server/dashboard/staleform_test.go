package dashboard_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A form that was loaded before another change does not take that back, and one of version 0.1.0, which has fewer fields,
// does not empty the others.
func TestStaleClientForm(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := chief(t, s)
	s.Register(t, servertest.M{
		"client_id": "billing", "client_name": "Billing", "scope": "read write", "access_token_ttl": 900,
		"access_token_format": "opaque", "audience": []string{"https://a.example"},
	})
	at := "/operator/clients/billing"
	stored := func() string { return fmt.Sprint(s.Admin(t, http.MethodGet, "/admin/clients/billing", nil).JSON(t)) }
	form := v.get(at).form(at)

	before := stored()
	old := url.Values{}
	for _, field := range []string{"form_token", "client_name", "scope", "rate_limit"} {
		old[field] = form[field]
	}
	v.post(at, old).want(http.StatusConflict).says("The client was changed after this page was loaded, and nothing was saved.")
	if after := stored(); after != before {
		t.Errorf("a form of version 0.1.0: got %s, want %s", after, before)
	}

	s.Admin(t, http.MethodPatch, "/admin/clients/billing", servertest.M{"scope": "read", "grant_types": []string{}})
	narrowed := stored()
	form.Set("client_name", "Accounts")
	p := v.post(at, form).want(http.StatusConflict).says("nothing was saved")
	if after := stored(); after != narrowed {
		t.Errorf("a form from before a change: got %s, want %s", after, narrowed)
	}
	if again := p.form(at); again.Get("scope") != "read" || again.Has("grant") {
		t.Errorf("the form shows %v", again)
	}
	v.submit(p, at, "client_name", "Accounts").wantTo(at + "?done=client-saved")
}

// Nor does a form take back a change that is made while the form is being saved.
func TestClientFormOvertaken(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	p, b := storetest.NewLateProxy(t, redis), redis.Backend(t)
	slow, other := servertest.New(t, b.Through(p).Patient()), servertest.New(t, b)
	v, _ := chief(t, slow)
	other.Register(t, servertest.M{"client_id": "billing", "client_name": "Billing", "scope": "read write"})
	at := "/operator/clients/billing"
	form := v.get(at).form(at)
	form.Set("client_name", "Accounts")
	held := p.Hold(storetest.Command("xadd", "")) // its record in the audit log, behind every read but that of the transaction
	answer := make(chan page, 1)
	go func() { answer <- v.post(at, form) }()
	held.Await()
	other.Admin(t, http.MethodPatch, "/admin/clients/billing", servertest.M{"scope": "read"}).Want(t, http.StatusOK, "")
	held.Release()
	again := (<-answer).want(http.StatusConflict).says("The client was changed after this page was loaded, and nothing was saved.").form(at)
	if again.Get("scope") != "read" || again.Get("client_name") != "Billing" {
		t.Errorf("the form shows %v", again)
	}
	got := other.Admin(t, http.MethodGet, "/admin/clients/billing", nil).JSON(t)
	if got["scope"] != "read" || got["client_name"] != "Billing" {
		t.Errorf("stored is %v", got)
	}
	form = v.get(at).form(at)
	form.Set("client_name", "Accounts")
	v.post(at, form).wantTo(at + "?done=client-saved")
}

// A client whose record cannot be read is named by its id among the busiest.
func TestOverviewWithUnreadableClient(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	v, _ := chief(t, s)
	s.Token(t, s.Register(t, servertest.M{"client_id": "billing", "scope": "read"}))
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Do("HSET", "mk:c:billing", "meta", `2{"name":"x"}`)
	v.get("/operator").want(http.StatusOK).says("billing")
}

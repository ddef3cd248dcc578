package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// lastRejection is the detail of the newest rejection in the audit log.
func lastRejection(t *testing.T, s *servertest.Server) map[string]string {
	t.Helper()
	events, _, err := s.Store.Events(t.Context(), store.EventFilter{Refusals: true, Limit: 1})
	if err != nil || len(events) != 1 || events[0].Action != "client.refused" {
		t.Fatalf("got %v, %v, want one rejected client", events, err)
	}
	return events[0].Detail
}

// TestClientAuthReasons: the audit log tells why a client authentication was rejected, and of the presented secret its
// last four characters, if it was this client's. The answer never does.
func TestClientAuthReasons(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e := newTokenEndpoint(t, b)
		c, other, pinned, disabled := e.basic(t), e.basic(t), e.post(t), e.basic(t)
		e.Admin(t, "PATCH", "/admin/clients/"+disabled.ID, servertest.M{"disabled": true}).Want(t, 200, "")
		expired := e.basic(t)
		e.rotate(t, expired, servertest.M{"overlap": "1s"})
		imported := e.Register(t, servertest.M{"client_secret": hazards})
		e.rotate(t, imported, servertest.M{"overlap": "1s"})
		b.Clock.Advance(time.Minute)
		rotated := e.basic(t)
		e.rotate(t, rotated, servertest.M{"overlap": "0s"})
		without := e.basic(t)
		items := e.Admin(t, "GET", "/admin/clients/"+without.ID+"/secrets", nil).JSON(t)["items"].([]any)
		e.Admin(t, "DELETE", "/admin/clients/"+without.ID+"/secrets/"+items[0].(servertest.M)["id"].(string), nil).Want(t, 204, "")

		for _, test := range []struct {
			name, reason, lastFour string
			form                   string
			who                    []servertest.Edit
		}{
			{name: "wrong secret", reason: "wrong secret", who: []servertest.Edit{servertest.Client{ID: c.ID, Secret: "wrong"}.Basic()}},
			{name: "another's secret", reason: "wrong secret", who: []servertest.Edit{servertest.Client{ID: c.ID, Secret: other.Secret}.Basic()}},
			{name: "expired secret", reason: "expired secret", lastFour: expired.Secret[len(expired.Secret)-4:], who: []servertest.Edit{expired.Basic()}},
			{name: "expired and imported", reason: "expired secret", who: []servertest.Edit{imported.Basic()}},
			{name: "another's expired secret", reason: "wrong secret", who: []servertest.Edit{servertest.Client{ID: c.ID, Secret: expired.Secret}.Basic()}},
			{name: "rotated away", reason: "wrong secret", lastFour: rotated.Secret[len(rotated.Secret)-4:], who: []servertest.Edit{rotated.Basic()}},
			{name: "no secret, and never had this one", reason: "no secret", who: []servertest.Edit{servertest.Client{ID: without.ID, Secret: other.Secret}.Basic()}},
			{name: "no secret, and this one was revoked", reason: "no secret", lastFour: without.Secret[len(without.Secret)-4:], who: []servertest.Edit{without.Basic()}},
			{name: "disabled", reason: "disabled", who: []servertest.Edit{disabled.Basic()}},
			{name: "disabled, wrong secret", reason: "wrong secret", who: []servertest.Edit{servertest.Client{ID: disabled.ID, Secret: "x"}.Basic()}},
			{name: "unknown", reason: "unknown", who: []servertest.Edit{servertest.Client{ID: "unknown", Secret: expired.Secret}.Basic()}},
			{name: "method not allowed", reason: "method not allowed", who: []servertest.Edit{pinned.Basic()}},
			{name: "unsupported", reason: "unsupported", form: inForm(c), who: []servertest.Edit{servertest.Bearer("x")}},
		} {
			t.Run(test.name, func(t *testing.T) {
				form := test.form
				if form == "" {
					form = grantCC
				}
				answer := e.send(t, form, test.who...)
				refused(t, answer, 401, "invalid_client")
				if strings.TrimSpace(answer.Body) != invalidClient {
					t.Errorf("the answer tells more: %s", answer.Body)
				}
				want := map[string]string{"reason": test.reason}
				if test.lastFour != "" {
					want["last_four"] = test.lastFour
				}
				if diff := cmp.Diff(want, lastRejection(t, e.Server)); diff != "" {
					t.Errorf("detail (-want +got):\n%s", diff)
				}
			})
		}
	})
}

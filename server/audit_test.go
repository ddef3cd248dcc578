package server_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// monitor collects every command that the server is sent, until the function is called.
func monitor(t *testing.T, server *storetest.Server) func() string {
	t.Helper()
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "MONITOR\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "+OK") {
		t.Fatalf("MONITOR: %q %v", line, err)
	}
	var all strings.Builder
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			line, err := r.ReadString('\n')
			if all.WriteString(line); err != nil || strings.Contains(line, "end-of-monitor") {
				return
			}
		}
	})
	return func() string {
		if _, err := server.Do("ECHO", "end-of-monitor"); err != nil {
			t.Error(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		reading.Wait()
		_ = conn.Close()
		return all.String()
	}
}

// TestSigningKeys is the operator's side of the signing keys.
func TestSigningKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		c := s.Register(t, servertest.M{"scope": "read"})
		states := func(t *testing.T, answer servertest.Response) map[string]string {
			t.Helper()
			found := map[string]string{}
			for _, item := range answer.JSON(t)["items"].([]any) {
				found[item.(servertest.M)["kid"].(string)] = item.(servertest.M)["state"].(string)
			}
			return found
		}
		get := func(t *testing.T) map[string]string {
			t.Helper()
			return states(t, s.Admin(t, http.MethodGet, "/admin/signing-keys", nil).Want(t, http.StatusOK, ""))
		}
		rotate := func(t *testing.T, body any) servertest.Response {
			t.Helper()
			return s.Admin(t, http.MethodPost, "/admin/signing-keys/rotate", body)
		}
		kid := func(t *testing.T) string { t.Helper(); return jwtPart(t, s.Token(t, c), 0)["kid"].(string) }

		first := kid(t)
		early := rotate(t, nil).Want(t, http.StatusConflict, "conflict")
		if wait, err := strconv.Atoi(early.Header.Get("Retry-After")); err != nil || wait < 590 || wait > 640 {
			t.Errorf("Retry-After: %q", early.Header.Get("Retry-After"))
		}
		rotate(t, servertest.M{"compromised": "yes"}).Want(t, http.StatusBadRequest, "invalid_request")
		if got := get(t); len(got) != 2 || got[first] != "active" || kid(t) != first {
			t.Errorf("after a refused rotation: %v", got)
		}
		token := s.Token(t, c)
		b.Clock.Advance(11 * time.Minute)
		if got := states(t, rotate(t, nil).Want(t, http.StatusCreated, "")); len(got) != 3 || got[first] != "retired" {
			t.Errorf("after a rotation: %v", got)
		}
		second := kid(t)
		jwks := s.Get(t, jwksPath).Body
		if second == first || !strings.Contains(jwks, first) || !strings.Contains(jwks, second) || !s.Active(t, c, token) {
			t.Errorf("%s replaced %s in %s", second, first, jwks)
		}
		rotate(t, nil).Want(t, http.StatusConflict, "conflict")
		fresh := s.Token(t, c)
		if got := states(t, rotate(t, servertest.M{"compromised": true}).Want(t, http.StatusCreated, "")); got[second] != "" {
			t.Errorf("the compromised key stays: %v", got)
		}
		if jwks := s.Get(t, jwksPath).Body; strings.Contains(jwks, second) || kid(t) == second || !s.Active(t, c, fresh) {
			t.Errorf("the compromised key %s in %s", second, jwks)
		}
	})
}

// TestAuditLog is what the audit log tells, and to whom.
func TestAuditLog(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		read := func(t *testing.T, query string) (actions []string, events []servertest.M, next string) {
			t.Helper()
			page := s.Admin(t, http.MethodGet, "/admin/audit?"+query, nil).Want(t, http.StatusOK, "").JSON(t)
			for _, item := range page["items"].([]any) {
				events = append(events, item.(servertest.M))
				actions = append(actions, item.(servertest.M)["action"].(string))
			}
			next, _ = page["next_cursor"].(string)
			return actions, events, next
		}
		c := s.Register(t, servertest.M{"client_id": "audited", "scope": "read write"})
		s.Register(t, servertest.M{"client_id": "beside"})
		path := clientsPath + "/audited"
		s.Admin(t, http.MethodPatch, path, servertest.M{"client_name": "x"})
		s.Admin(t, http.MethodPatch, path, servertest.M{"client_name": "x"}) // changes nothing
		s.Admin(t, http.MethodPatch, path, servertest.M{"disabled": true})
		s.Admin(t, http.MethodPatch, path, servertest.M{"disabled": false})
		middle := b.Clock.Now().Add(time.Minute)
		b.Clock.Advance(2 * time.Minute)
		rotated := s.Admin(t, http.MethodPost, path+"/secrets", nil, servertest.Header("X-Request-Id", "trace-7")).JSON(t)
		s.Secret(rotated["client_secret"].(string))
		s.Admin(t, http.MethodPost, path+"/secrets", nil).Want(t, http.StatusConflict, "conflict")
		s.Admin(t, http.MethodDelete, path+"/secrets/"+rotated["id"].(string), nil)
		s.Admin(t, http.MethodPost, path+"/revoke-tokens", nil)
		s.Admin(t, http.MethodDelete, path, nil)
		s.Admin(t, http.MethodDelete, path, nil).Want(t, http.StatusNotFound, "not_found")

		want := []string{
			"client.deleted", "client.tokens_revoked", "secret.ended", "secret.rotated", "client.enabled", "client.disabled", "client.updated", "client.created",
		}
		actions, events, _ := read(t, "target=client:audited")
		if !slices.Equal(actions, want) {
			t.Fatalf("got %q, want %q", actions, want)
		}
		if e := events[3]; e["request_id"] != "trace-7" || e["actor"] != "admin-token" || e["address"] != "127.0.0.1" {
			t.Errorf("got %v", e)
		}
		if got, _, _ := read(t, "target=client:audited&since="+url.QueryEscape(middle.Format(time.RFC3339))); !slices.Equal(got, want[:4]) {
			t.Errorf("since: got %q, want %q", got, want[:4])
		}
		if got, _, _ := read(t, "actor=nobody"); len(got) > 0 {
			t.Errorf("of nobody: %q", got)
		}
		var paged []string
		for cursor, rounds := "", 0; rounds == 0 || cursor != "" && rounds < 20; rounds++ {
			var some []string
			some, _, cursor = read(t, "target=client:audited&limit=3&cursor="+cursor)
			paged = append(paged, some...)
		}
		if !slices.Equal(paged, want) {
			t.Errorf("paged: got %q, want %q", paged, want)
		}
		_, _, next := read(t, "limit=1")
		for _, bad := range []string{"cursor=1-1", "cursor=" + next + "x", "refusals=true&cursor=" + next, "since=yesterday", "refusals=maybe", "limit=0"} {
			s.Admin(t, http.MethodGet, "/admin/audit?"+bad, nil).Want(t, http.StatusBadRequest, "invalid_request")
		}
		t.Run("refusals are a log of their own", func(t *testing.T) {
			s.Get(t, clientsPath, servertest.Bearer("wrong"), servertest.Header("X-Request-Id", "refused-1"))
			s.Post(t, "/oauth/token", grantCC, c.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
			refusals, events, _ := read(t, "refusals=true")
			if !slices.Equal(refusals, []string{"client.refused", "admin.refused"}) || events[1]["request_id"] != "refused-1" {
				t.Errorf("got %v", events)
			}
			s.Get(t, clientsPath, servertest.Bearer("wrong"), servertest.Header("X-Request-Id", "refused-1"))
			_, events, _ = read(t, "refusals=true")
			if a, b := events[0], events[2]; a["request_id"] != "refused-1" || b["request_id"] != "refused-1" ||
				a["server_request_id"] == nil || b["server_request_id"] == nil || a["server_request_id"] == b["server_request_id"] {
				t.Errorf("two callers with one X-Request-Id cannot be told apart: %v, %v", a, b)
			}
			if e := events[1]; e["request_id"] == "" || e["server_request_id"] != nil {
				t.Errorf("without X-Request-Id there is one id: %v", e)
			}
			if all, _, _ := read(t, ""); slices.Contains(all, "admin.refused") {
				t.Errorf("changes: %q", all)
			}
		})
	})
}

package server_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const billing = "/admin/clients/billing"

// ifMatch is the condition on a version.
func ifMatch(etag string) servertest.Edit { return servertest.Header("If-Match", etag) }

// TestReplaceClient: a PUT replaces the whole registration, and only that which the caller has read.
func TestReplaceClient(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	c := s.Register(t, servertest.M{"client_id": "billing", "client_name": "Billing", "scope": "read write", "rate_limit": "600/m"})
	token := s.Token(t, c)
	checker := s.Register(t, servertest.M{"scope": "mintkeep:introspect"})

	read := s.Admin(t, http.MethodGet, billing, nil).Want(t, http.StatusOK, "")
	etag := read.Header.Get("ETag")
	if etag == "" || etag != read.JSON(t)["etag"] {
		t.Fatalf("the header has %q, the body %q", etag, read.JSON(t)["etag"])
	}
	s.Admin(t, http.MethodPut, billing, servertest.M{"scope": "read"}).Want(t, http.StatusPreconditionRequired, "precondition_required")

	// What was read can be sent back: it changes nothing.
	same := s.Admin(t, http.MethodPut, billing, read.JSON(t), ifMatch(etag)).Want(t, http.StatusOK, "")
	if got := same.Header.Get("ETag"); got != etag {
		t.Errorf("the same registration has the ETag %s, want %s", got, etag)
	}

	replaced := s.Admin(t, http.MethodPut, billing, servertest.M{"scope": "read", "managed_by": "platform"}, ifMatch(etag)).Want(t, http.StatusOK, "").JSON(t)
	if replaced["client_name"] != "" || replaced["rate_limit"] != nil || replaced["scope"] != "read" || replaced["managed_by"] != "platform" {
		t.Errorf("got %v, want what was sent, and defaults", replaced)
	}
	if s.Active(t, checker, token) {
		t.Error("a token keeps a scope that the client has lost")
	}
	s.Token(t, c) // the secret stays

	s.Admin(t, http.MethodPut, billing, servertest.M{"scope": "write"}, ifMatch(etag)).Want(t, http.StatusPreconditionFailed, "precondition_failed")
	s.Admin(t, http.MethodPatch, billing, servertest.M{"scope": "write"}, ifMatch(etag)).Want(t, http.StatusPreconditionFailed, "precondition_failed")
	s.Admin(t, http.MethodDelete, billing, nil, ifMatch(etag)).Want(t, http.StatusPreconditionFailed, "precondition_failed")
	s.Admin(t, http.MethodPut, billing, servertest.M{"scope": "write"}, ifMatch("W/"+replaced["etag"].(string))).Want(t, http.StatusPreconditionFailed, "precondition_failed")
	s.Admin(t, http.MethodPut, billing, servertest.M{"scope": "write", "client_secret": strings.Repeat("x", 32)}, ifMatch("*")).
		Want(t, http.StatusBadRequest, "invalid_client_metadata")
	s.Admin(t, http.MethodPut, "/admin/clients/none", servertest.M{}, ifMatch("*")).Want(t, http.StatusNotFound, "not_found")

	s.Admin(t, http.MethodPut, billing, servertest.M{"disabled": true}, ifMatch(`"other", `+replaced["etag"].(string))).Want(t, http.StatusOK, "")
	if on := s.Admin(t, http.MethodPut, billing, servertest.M{}, ifMatch("*")).Want(t, http.StatusOK, "").JSON(t); on["disabled"] != false {
		t.Error("a client is disabled although the request has no disabled")
	}
	s.Admin(t, http.MethodDelete, billing, nil, ifMatch("*")).Want(t, http.StatusNoContent, "")
	s.Admin(t, http.MethodDelete, billing, nil, ifMatch("*")).Want(t, http.StatusNotFound, "not_found")
}

// TestDryRun: a request that is only checked gets the errors that it would get, and changes nothing.
func TestDryRun(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	s.Admin(t, http.MethodPost, "/admin/clients?dry_run=true", servertest.M{"client_id": "billing"}).Want(t, http.StatusNoContent, "")
	s.Admin(t, http.MethodGet, billing, nil).Want(t, http.StatusNotFound, "not_found")
	s.Register(t, servertest.M{"client_id": "billing", "scope": "read"})
	s.Admin(t, http.MethodPost, "/admin/clients?dry_run=true", servertest.M{"client_id": "billing"}).Want(t, http.StatusConflict, "conflict")
	before := s.Admin(t, http.MethodGet, billing, nil)
	etag := before.Header.Get("ETag")
	for _, method := range []string{http.MethodPut, http.MethodPatch} {
		s.Admin(t, method, billing+"?dry_run=true", servertest.M{"scope": "write", "disabled": true}, ifMatch(etag)).Want(t, http.StatusNoContent, "")
		s.Admin(t, method, billing+"?dry_run=true", servertest.M{"access_token_ttl": 1 << 40}, ifMatch(etag)).Want(t, http.StatusBadRequest, "invalid_client_metadata")
		s.Admin(t, method, billing+"?dry_run=true", servertest.M{}, ifMatch(`"x"`)).Want(t, http.StatusPreconditionFailed, "precondition_failed")
		s.Admin(t, method, billing+"?dry_run=maybe", servertest.M{}, ifMatch(etag)).Want(t, http.StatusBadRequest, "invalid_request")
	}
	if after := s.Admin(t, http.MethodGet, billing, nil); after.Body != before.Body {
		t.Errorf("got %s, want %s", after.Body, before.Body)
	}
	if events := s.Admin(t, http.MethodGet, "/admin/audit", nil).JSON(t)["items"].([]any); len(events) != 1 {
		t.Errorf("got %d events, want that of the registration", len(events))
	}
}

// TestReplaceClientRace: of many replacements of one version, exactly one is made. The others are told.
func TestReplaceClientRace(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	s.Register(t, servertest.M{"client_id": "billing", "scope": "read"})
	etag := s.Admin(t, http.MethodGet, billing, nil).Header.Get("ETag")
	const callers = 8
	answers := make([]servertest.Response, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			answers[i] = s.Admin(t, http.MethodPut, billing, servertest.M{"scope": "read", "client_name": string(rune('A' + i))}, ifMatch(etag))
		})
	}
	all.Wait()
	made := ""
	for _, answer := range answers {
		switch answer.Status {
		case http.StatusOK:
			if made != "" {
				t.Error("two replacements of one version were made")
			}
			made = answer.JSON(t)["client_name"].(string)
		case http.StatusPreconditionFailed, http.StatusConflict:
		default:
			t.Errorf("got %d %s", answer.Status, answer.Body)
		}
	}
	if got := s.Admin(t, http.MethodGet, billing, nil).JSON(t)["client_name"]; made == "" || got != made {
		t.Errorf("the client is called %q, and the one that was told so is %q", got, made)
	}
}

// TestVersionOfAnotherLife: the version of a deleted client is not that of a later one of the same id and metadata.
func TestVersionOfAnotherLife(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	metadata := servertest.M{"client_id": "billing", "scope": "read"}
	s.Register(t, metadata)
	etag := s.Admin(t, http.MethodGet, billing, nil).Header.Get("ETag")
	s.Admin(t, http.MethodDelete, billing, nil).Want(t, http.StatusNoContent, "")
	s.Register(t, metadata)
	s.Admin(t, http.MethodPut, billing, servertest.M{}, ifMatch(etag)).Want(t, http.StatusPreconditionFailed, "precondition_failed")
}

func sha256Of(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// TestSecretByDigest: an operator registers the SHA-256 of a secret, and the client authenticates with the secret.
func TestSecretByDigest(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	first, second := strings.Repeat("first-secret-", 4), strings.Repeat("second-secret-", 4)
	s.Secret(first)
	s.Secret(second)
	register := servertest.M{"client_id": "billing", "scope": "read", "client_secret_sha256": strings.ToUpper(sha256Of(first))}
	created := s.Admin(t, http.MethodPost, "/admin/clients", register).Want(t, http.StatusCreated, "").JSON(t)
	if created["client_secret"] != nil {
		t.Errorf("the answer has a secret")
	}
	shown := created["secrets"].([]any)[0].(servertest.M)
	if shown["last_four"] != nil || shown["sha256"] != sha256Of(first) {
		t.Errorf("got %v, want no last four characters, and the digest", shown)
	}
	s.Token(t, servertest.Client{ID: "billing", Secret: first})

	next := servertest.M{"client_secret_sha256": sha256Of(second), "keep_previous": true}
	rotated := s.Admin(t, http.MethodPost, billing+"/secrets", next).Want(t, http.StatusCreated, "").JSON(t)
	if rotated["last_four"] != nil || rotated["client_secret"] != nil || rotated["previous"] != nil {
		t.Errorf("got %v, want neither a secret nor a previous one", rotated)
	}
	s.Token(t, servertest.Client{ID: "billing", Secret: second})
	for _, secret := range s.Admin(t, http.MethodGet, billing, nil).JSON(t)["secrets"].([]any) {
		if expires := secret.(servertest.M)["expires_at"]; expires != nil {
			t.Errorf("a secret that was to be kept expires at %v", expires)
		}
	}
	s.Admin(t, http.MethodPost, billing+"/secrets", servertest.M{"client_secret_sha256": sha256Of(first), "keep_previous": true, "overlap": "1h"}).
		Want(t, http.StatusBadRequest, "invalid_request")
}

// TestExpiringSecretAgain: a secret that expires and is brought again does not expire any more, and is valid all the time; the one
// beside it expires instead, or stays. One that does not expire is no second secret.
func TestExpiringSecretAgain(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	first, second := strings.Repeat("first ", 8), strings.Repeat("second ", 8)
	s.Secret(first)
	s.Secret(second)
	s.Admin(t, http.MethodPost, "/admin/clients", servertest.M{"client_id": "billing", "scope": "read", "client_secret_sha256": sha256Of(first)}).
		Want(t, http.StatusCreated, "")
	bring := func(secret string, keep bool) servertest.Response {
		s.Clock.Advance(time.Second)
		return s.Admin(t, http.MethodPost, billing+"/secrets", servertest.M{"client_secret_sha256": sha256Of(secret), "keep_previous": keep})
	}
	works := func(secret string, want bool) {
		t.Helper()
		answer := s.Post(t, "/oauth/token", "grant_type=client_credentials", servertest.Client{ID: "billing", Secret: secret}.Basic())
		if got := answer.Status == http.StatusOK; got != want {
			t.Errorf("%s: got status %d", secret, answer.Status)
		}
	}
	secrets := func() []any { return s.Admin(t, http.MethodGet, billing, nil).JSON(t)["secrets"].([]any) }
	earlier := secrets()[0].(servertest.M)["id"]
	bring(second, false).Want(t, http.StatusCreated, "")
	if got, ok := lastEvent(t, s, false)["replaces"]; ok {
		t.Errorf("the audit log has that %v was replaced", got)
	}
	bring(first, true).Want(t, http.StatusCreated, "")
	if got := lastEvent(t, s, false)["replaces"]; got != earlier {
		t.Errorf("the audit log has that %v was replaced, want %v", got, earlier)
	}
	works(first, true)
	s.Clock.Advance(100 * time.Hour)
	works(first, true)
	works(second, true)
	bring(first, true).Want(t, http.StatusBadRequest, "invalid_request")

	s.Admin(t, http.MethodDelete, billing+"/secrets/"+secrets()[0].(servertest.M)["id"].(string), nil).Want(t, http.StatusNoContent, "")
	bring(second, false).Want(t, http.StatusCreated, "")
	bring(first, false).Want(t, http.StatusCreated, "")
	works(second, true)
	s.Clock.Advance(100 * time.Hour)
	works(first, true)
	works(second, false)
}

// TestSecretByDigestRejected: what is no digest, or is that of a secret that is guessed first.
func TestSecretByDigestRejected(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	good := sha256Of(strings.Repeat("x", 40))
	for name, digest := range map[string]any{
		"too short": good[:62], "too long": good + "00", "not hexadecimal": strings.Repeat("g", 64), "a number": 5, "empty": "",
		"of nothing": sha256Of(""), "of the word secret": sha256Of("secret"), "of a word and the end of a line": sha256Of("changeme\n"),
		"of the id": sha256Of("billing"), "of the id and the end of a line": sha256Of("billing\n"),
	} {
		t.Run(name, func(t *testing.T) {
			answer := s.Admin(t, http.MethodPost, "/admin/clients", servertest.M{"client_id": "billing", "client_secret_sha256": digest})
			if answer.Want(t, http.StatusBadRequest, "invalid_client_metadata"); !strings.Contains(answer.Body, "client_secret_sha256: ") {
				t.Errorf("the answer does not name the member: %s", answer.Body)
			}
		})
	}
	both := servertest.M{"client_id": "billing", "client_secret_sha256": good, "client_secret": strings.Repeat("y", 32)}
	s.Admin(t, http.MethodPost, "/admin/clients", both).Want(t, http.StatusBadRequest, "invalid_client_metadata")
	byKey := servertest.M{
		"client_id": "billing", "client_secret_sha256": good, "token_endpoint_auth_method": "private_key_jwt",
		"jwks_uri": "https://billing.example.com/jwks.json",
	}
	s.Admin(t, http.MethodPost, "/admin/clients?check=false", byKey).Want(t, http.StatusBadRequest, "invalid_client_metadata")

	// An imported secret may be easy to guess: its digest is not shown.
	s.Register(t, servertest.M{"client_id": "imported", "client_secret": strings.Repeat("z", 32)})
	secret := s.Admin(t, http.MethodGet, "/admin/clients/imported", nil).JSON(t)["secrets"].([]any)[0].(servertest.M)
	if secret["sha256"] != nil {
		t.Error("the digest of an imported secret is shown")
	}
}

// TestDeclarationInAudit: the owner and the file of a declaration are in the event of each change that it makes.
func TestDeclarationInAudit(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	const by = "?owner=platform&file=clients.yaml"
	s.Admin(t, http.MethodPost, "/admin/clients"+by, servertest.M{"client_id": "billing", "managed_by": "platform"}).Want(t, http.StatusCreated, "")
	s.Admin(t, http.MethodPut, billing+by, servertest.M{"managed_by": "platform", "scope": "read"}, ifMatch("*")).Want(t, http.StatusOK, "")
	s.Admin(t, http.MethodDelete, billing+by, nil).Want(t, http.StatusNoContent, "")
	s.Admin(t, http.MethodPost, "/admin/users"+by, servertest.M{"email": "ada@example.com", "managed_by": "platform"}).Want(t, http.StatusCreated, "")
	events := s.Admin(t, http.MethodGet, "/admin/audit", nil).JSON(t)["items"].([]any)
	if len(events) != 4 {
		t.Errorf("got %d events, want one for each of 4 changes", len(events))
	}
	for _, event := range events {
		detail := event.(servertest.M)["detail"].(servertest.M)
		if detail["owner"] != "platform" || detail["file"] != "clients.yaml" {
			t.Errorf("%v has the detail %v", event.(servertest.M)["action"], detail)
		}
	}
	for _, query := range []string{"?file=clients.yaml", "?owner=a/b", "?owner=platform&file=" + strings.Repeat("x", 256)} {
		s.Admin(t, http.MethodPost, "/admin/clients"+query, servertest.M{"client_id": "other"}).Want(t, http.StatusBadRequest, "invalid_request")
	}
}

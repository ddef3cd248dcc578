package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const signingKeys = `{"items":[{"kid":"k2","alg":"ES256","state":"next","created_at":"2026-01-02T03:04:05Z","published_at":"2026-01-02T03:04:35Z",` +
	`"activated_at":null,"retired_at":null,"removed_at":null}]}`

const signingKeysTable = `KEY ID  ALG    STATE  CREATED               PUBLISHED             ACTIVE SINCE  RETIRED  REMOVED
k2      ES256  next   2026-01-02T03:04:05Z  2026-01-02T03:04:35Z  -             -        -
`

func TestSigningKey(t *testing.T) {
	for args, want := range map[string]string{
		"list":                       "GET /admin/signing-keys",
		"rotate":                     "POST /admin/signing-keys/rotate application/json {}",
		"rotate --compromised --yes": `POST /admin/signing-keys/rotate application/json {"compromised":true}`,
		"rotate --all --yes":         `POST /admin/signing-keys/rotate application/json {"compromised":"all"}`,
	} {
		server := newAdmin(t, says(http.StatusOK, signingKeys))
		got := mintkeep(t, server.environ(), "", append([]string{"signing-key"}, strings.Fields(args)...)...)
		if diff := cmp.Diff(result{stdout: signingKeysTable}, got, cmp.AllowUnexported(result{})); diff != "" {
			t.Errorf("%s (-want +got)\n%s", args, diff)
		}
		if diff := cmp.Diff([]string{want}, server.asked); diff != "" {
			t.Errorf("%s: requests (-want +got)\n%s", args, diff)
		}
	}
}

// What breaks services that verify offline asks, and does nothing where it cannot.
func TestSigningKeyRotateAsks(t *testing.T) {
	for _, args := range []string{"rotate --compromised", "rotate --all", "rotate --all --json"} {
		server := newAdmin(t, says(http.StatusOK, signingKeys))
		got := mintkeep(t, server.environ(), "yes\n", append([]string{"signing-key"}, strings.Fields(args)...)...)
		if got.code != exitUsage || len(server.asked) > 0 || !strings.Contains(got.stderr, "--yes is required") || !strings.Contains(got.stderr, "verify offline reject every JWT") {
			t.Errorf("%s: got %+v after %q", args, got, server.asked)
		}
	}
	if got := mintkeep(t, nil, "", "signing-key", "rotate", "--all", "--compromised"); got.code != exitUsage {
		t.Errorf("both: got %+v", got)
	}
}

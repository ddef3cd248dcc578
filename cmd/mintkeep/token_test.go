package main

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tokenEndpoint answers with the token, and notes the form and the header.
func tokenEndpoint(t *testing.T, status int, answer string) (environ []string, asked *[]string) {
	t.Helper()
	asked = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*asked = append(*asked, r.Header.Get("Authorization")+" "+r.URL.Path+" "+string(body))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return []string{"MINTKEEP_URL=" + server.URL, "MINTKEEP_CLIENT_ID=a:b", "MINTKEEP_CLIENT_SECRET=s %+"}, asked
}

func issued(token string) string {
	return `{"access_token":"` + token + `","token_type":"bearer","expires_in":3600,"scope":"read"}`
}

func TestTokenRequest(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("a%3Ab:s+%25%2B")) // form-encoded first, RFC 6749 §2.3.1
	tests := []struct {
		args []string
		want string
	}{
		{nil, basic + " /oauth/token grant_type=client_credentials"},
		{
			[]string{"--scope=read  write", "--resource=https://a.example", "--resource=urn:b"},
			basic + " /oauth/token grant_type=client_credentials&resource=https%3A%2F%2Fa.example&resource=urn%3Ab&scope=read+write",
		},
		{[]string{"--post"}, " /oauth/token client_id=a%3Ab&client_secret=s+%25%2B&grant_type=client_credentials"},
	}
	for _, tt := range tests {
		environ, asked := tokenEndpoint(t, http.StatusOK, issued("mkt_abc"))
		got := mintkeep(t, environ, "", append([]string{"token"}, tt.args...)...)
		if want := (result{stdout: "mkt_abc\n"}); got != want {
			t.Errorf("%q: got %+v, want %+v", tt.args, got, want)
		}
		if d := cmp.Diff([]string{tt.want}, *asked); d != "" {
			t.Errorf("%q: requests (-want +got):\n%s", tt.args, d)
		}
	}
}

func TestTokenDecode(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	jwt := encode([]byte(`{"alg":"ES256"}`)) + "." + encode([]byte(`{"sub":"a"}`)) + ".c2ln"
	tests := []struct {
		token string
		want  result
	}{
		{jwt, result{stdout: "{\n  \"alg\": \"ES256\"\n}\n{\n  \"sub\": \"a\"\n}\n", stderr: "The signature was not checked.\n"}},
		{"mkt_abc", result{code: exitFailed, stderr: "mintkeep: the token is opaque: ask the server about it, with mintkeep introspect\n"}},
		{"YQ.YQ.c", result{code: exitFailed, stderr: "mintkeep: the token is no JWT: it is not JSON between its dots\n"}},
		{"!.b.c", result{code: exitFailed, stderr: "mintkeep: the token is no JWT: it is not base64url between its dots\n"}},
	}
	for _, tt := range tests {
		environ, _ := tokenEndpoint(t, http.StatusOK, issued(tt.token))
		if got := mintkeep(t, environ, "", "token", "--decode"); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.token, got, tt.want)
		}
	}
}

func TestTokenFailures(t *testing.T) {
	tests := []struct {
		status       int
		answer, want string
	}{
		{401, `{"error":"invalid_client","error_description":"Client authentication failed"}`, "Client authentication failed (401 invalid_client); an operator finds the reason with: mintkeep audit --refusals --since 1h"},
		{502, `canary`, "the server rejected the request (502 Bad Gateway)"},
		{200, `canary`, "the answer is not JSON: is MINTKEEP_URL the address of Mintkeep?"},
		{200, `{"access_token":"two words"}`, "the answer is not a token: is MINTKEEP_URL the address of Mintkeep?"},
		{200, `{"access_token":""}`, "the answer is not a token: is MINTKEEP_URL the address of Mintkeep?"},
	}
	for _, tt := range tests {
		environ, asked := tokenEndpoint(t, tt.status, tt.answer)
		got := mintkeep(t, environ, "", "token")
		if want := (result{code: exitFailed, stderr: "mintkeep: " + tt.want + "\n"}); got != want {
			t.Errorf("%d: got %+v, want %+v", tt.status, got, want)
		}
		if len(*asked) != 1 {
			t.Errorf("%d: asked %d times, want once", tt.status, len(*asked))
		}
	}
}

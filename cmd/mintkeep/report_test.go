package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/credential"
)

// With --json an error is one JSON object on the standard error, and the standard output stays empty.
func TestErrorsAsJSON(t *testing.T) {
	server := newAdmin(t, says(http.StatusNotFound, `{"error":"not_found","error_description":"Client not found"}`))
	gateway := newAdmin(t, says(http.StatusBadGateway, `<html>`))
	for _, tt := range []struct {
		environ []string
		args    string
		code    int
		want    string
	}{
		{server.environ(), "client show x --json", exitFailed, `{"error":"not_found","error_description":"Client not found","status":404}`},
		{server.environ(), "--json client show x", exitUsage, `{"error":"usage","error_description":"unknown flag --json"}`},
		{server.environ(), "client show x --json=true", exitFailed, `{"error":"not_found","error_description":"Client not found","status":404}`},
		{server.environ(), "client show x --json --json=false", exitFailed, "mintkeep: Client not found (404 not_found)"},
		{gateway.environ(), "key list --json", exitFailed, `{"error":"failed","error_description":"Bad Gateway","status":502}`},
		{server.environ(), "client show --json", exitUsage, `{"error":"usage","error_description":"client show: the client's id is missing"}`},
		{
			[]string{"MINTKEEP_URL=http://127.0.0.1:1", "MINTKEEP_ADMIN_TOKEN=" + testToken},
			"user list --json", exitFailed,
			`{"error":"failed","error_description":"cannot reach http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused"}`,
		},
	} {
		got := mintkeep(t, tt.environ, "", strings.Fields(tt.args)...)
		if want := (result{code: tt.code, stderr: tt.want + "\n"}); got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.args, got, want)
		}
	}
	// So are errors of the configuration, and warnings.
	var reported struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	lacking := mintkeep(t, nil, "", "client", "list", "--json")
	if err := json.Unmarshal([]byte(lacking.stderr), &reported); err != nil || lacking.code != exitUsage || reported.Code != "usage" ||
		!strings.Contains(reported.Description, "MINTKEEP_ADMIN_TOKEN is required") {
		t.Errorf("got %+v, %v", lacking, err)
	}
	got := mintkeep(t, []string{elsewhere("MINTKEEP_URL=" + server.URL), "MINTKEEP_ADMIN_TOKEN=" + testToken}, "", "client", "show", "x", "--json")
	if lines := strings.Split(got.stderr, "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], `{"warning":"MINTKEEP_URL is plain http off loopback`) {
		t.Errorf("got %q", got.stderr)
	}
}

// What a command adds to an error of the server is in both forms: what was done before it, and how to go on.
func TestErrorsHaveTheWholeText(t *testing.T) {
	t.Parallel()
	const unavailable = `{"error":"temporarily_unavailable","error_description":"Store unavailable"}`
	folder := t.TempDir()
	for _, tt := range []struct {
		args, stdin string
		answer      http.HandlerFunc
		code        string
		status      int
		want        string
	}{
		{
			args: "key revoke key_a --wait", code: "temporarily_unavailable", status: 503,
			want: "this was done, but the guards could not be asked whether they know: Store unavailable (503 temporarily_unavailable)",
			answer: func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete {
					w.WriteHeader(http.StatusNoContent)
					return
				}
				says(http.StatusServiceUnavailable, unavailable)(w, r)
			},
		},
		{
			args: "client create --new-key=" + folder + "/key.pem", code: "temporarily_unavailable", status: 503,
			want: "so the private key is kept in " + folder + "/key.pem", answer: says(http.StatusServiceUnavailable, unavailable),
		},
		{
			args: "key report", stdin: credential.NewSecret("mk"), code: "temporarily_unavailable", status: 503,
			want: "nothing is known to be revoked: report the text again", answer: says(http.StatusServiceUnavailable, unavailable),
		},
		{
			args: "client list", code: "not_found", status: 404, want: "set MINTKEEP_ADMIN_URL to its origin",
			answer: says(http.StatusNotFound, `{"error":"not_found","error_description":"Page not found"}`),
		},
		{
			args: "client rotate billing", code: "invalid_request", status: 400,
			want:   "; that is: mintkeep client update billing --clear auth-method",
			answer: says(http.StatusBadRequest, `{"error":"invalid_request","error_description":"The client uses no secret"}`),
		},
	} {
		environ := newAdmin(t, tt.answer).environ()
		plain := mintkeep(t, environ, tt.stdin, strings.Fields(tt.args)...)
		if plain.code != exitFailed || !strings.Contains(plain.stderr, tt.want) {
			t.Errorf("%s: got %+v, want %q", tt.args, plain, tt.want)
		}
		_ = os.Remove(folder + "/key.pem")
		var reported struct {
			Code        string `json:"error"`
			Description string `json:"error_description"`
			Status      int
		}
		inJSON := mintkeep(t, environ, tt.stdin, strings.Fields(tt.args+" --json")...)
		if err := json.Unmarshal([]byte(inJSON.stderr), &reported); err != nil {
			t.Fatalf("%s: %v in %+v", tt.args, err, inJSON)
		}
		if !strings.Contains(reported.Description, tt.want) || reported.Code != tt.code || reported.Status != tt.status {
			t.Errorf("%s: got %+v, want %s, %d and %q", tt.args, reported, tt.code, tt.status, tt.want)
		}
	}
}

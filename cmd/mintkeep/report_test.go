package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
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

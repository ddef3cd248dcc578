package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// suiteCheck is what the conformance suite of MCP says about one requirement.
type suiteCheck struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Message string `json:"errorMessage"`
}

// TestMCPConformance runs the conformance suite of MCP: against Mintkeep as an authorization server, and with mintkeep token
// as the client of the suite's own servers, by a key and by a secret: testdata/node/mcp-client.mjs calls it.
func TestMCPConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts many programs, and the race detector looks into none of them")
	}
	t.Parallel()
	suite := nodeProgram(t, text(t, "testdata/node/conformance.mjs"))
	t.Run("authorization server metadata: all but the response type code", func(t *testing.T) {
		p := startPublished(t)
		checks := runSuite(t, p.env, suite, "authorization", "--url", p.issuer, "--scenario", "authorization-server-metadata-endpoint")
		// The message lists all that is missing, separated by commas.
		want := suiteCheck{"authorization-server-metadata", "FAILURE", `Response body does not include valid "response_types_supported" claim`}
		if got := checks[want.ID]; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		// Client id metadata documents are optional, and not supported.
		if got := checks["authorization-server-metadata-cimd"]; got.Status != "WARNING" || len(checks) != 2 {
			t.Errorf("got %+v", checks)
		}
	})
	processtest.Program(t) // it is on the PATH
	client := strings.Join(nodeProgram(t, text(t, "testdata/node/mcp-client.mjs")), " ")
	for scenario, decisive := range map[string]string{
		"auth/client-credentials-jwt": "client-credentials-jwt-verified", "auth/client-credentials-basic": "client-credentials-basic-auth",
	} {
		t.Run("the command is a client for "+scenario, func(t *testing.T) {
			checks := runSuite(t, os.Environ(), suite, "client", "--command", client, "--scenario", scenario)
			if got := checks[decisive].Status; got != "SUCCESS" {
				t.Errorf("%s: got %q, want SUCCESS, in %+v", decisive, got, checks)
			}
			for _, check := range checks {
				if check.Status != "SUCCESS" && check.Status != "INFO" {
					t.Errorf("got %+v", check)
				}
			}
		})
	}
}

// runSuite runs one scenario.
func runSuite(t *testing.T, environ, suite []string, arguments ...string) map[string]suiteCheck {
	t.Helper()
	dir := t.TempDir()
	command := append(append(suite[:len(suite):len(suite)], arguments...), "-o", dir)
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = environ
	said, err := cmd.CombinedOutput() // it exits with 1 if a check fails
	files, _ := filepath.Glob(filepath.Join(dir, "*", "checks.json"))
	if nested, _ := filepath.Glob(filepath.Join(dir, "*", "*", "checks.json")); len(nested) > 0 {
		files = nested
	}
	if len(files) != 1 {
		t.Fatalf("%v\n%s", err, said)
	}
	var list []suiteCheck
	if err := json.Unmarshal([]byte(text(t, files[0])), &list); err != nil {
		t.Fatal(err)
	}
	checks := map[string]suiteCheck{}
	for _, check := range list {
		checks[check.ID] = check
		if t.Failed() {
			t.Logf("%+v", check)
		}
	}
	return checks
}

package main

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// TestMCPClientScenarios runs the scenarios of the MCP conformance suite for clients without a user. The client is
// testdata/node/mcp-client.mjs, whose tokens are those of mintkeep token: by a key, and by a secret.
func TestMCPClientScenarios(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts programs for Node, and the race detector looks into none of them")
	}
	processtest.Program(t) // it is on the PATH
	client := nodeProgram(t, text(t, "testdata/node/mcp-client.mjs"))
	version, err := exec.CommandContext(t.Context(), "node", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(version), "v"), ".")
	if n, _ := strconv.Atoi(major); n < 22 {
		missing(t, "node22", "the MCP conformance suite needs Node 22, and this is "+strings.TrimSpace(string(version)))
	}
	suite := filepath.Join(filepath.Dir(client[len(client)-1]), "node_modules/@modelcontextprotocol/conformance/dist/index.js")
	for _, scenario := range []string{"auth/client-credentials-jwt", "auth/client-credentials-basic"} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "node", suite, "client", "--command", strings.Join(client, " "), "--scenario", scenario)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "OVERALL: PASSED") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// suiteCheck is what the conformance suite of MCP says about one requirement.
type suiteCheck struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Message string `json:"errorMessage"`
}

// TestMCPConformance runs the conformance suite of MCP: against Mintkeep as an authorization server, and against the
// command mintkeep as a client of the suite's own server.
func TestMCPConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts many programs, and the race detector looks into none of them")
	}
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
	for scenario, decisive := range map[string]string{
		"auth/client-credentials-jwt": "client-credentials-jwt-verified", "auth/client-credentials-basic": "client-credentials-basic-auth",
	} {
		t.Run("the command is a client for "+scenario, func(t *testing.T) {
			checks := runSuite(t, os.Environ(), suite, "client", "--command", mcpClientCommand, "--scenario", scenario)
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

// mcpClientCommand is the test binary under the name by which the suite calls it.
const mcpClientCommand = "mintkeep-mcp-client"

// mcpClient is a client of MCP that has its tokens from mintkeep token. Its argument is the MCP server.
func mcpClient() {
	if err := callMCP(context.Background(), os.Args[len(os.Args)-1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func callMCP(ctx context.Context, server string) error {
	var given struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
		PrivateKey   string `json:"private_key_pem"`
	}
	if err := json.Unmarshal([]byte(os.Getenv("MCP_CONFORMANCE_CONTEXT")), &given); err != nil {
		return err
	}
	challenge, err := sendMCP(ctx, server, "", 1, "initialize")
	if err == nil {
		return errors.New("the server wants no token")
	}
	metadata := regexp.MustCompile(`resource_metadata="([^"]+)"`).FindStringSubmatch(challenge)
	if metadata == nil {
		return fmt.Errorf("%w: no metadata in %q", err, challenge)
	}
	var resource struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
	}
	if err := getJSON(ctx, metadata[1], &resource); err != nil || len(resource.Servers) == 0 {
		return fmt.Errorf("no authorization server: %w", err)
	}
	proxy, err := asMintkeep(ctx, resource.Servers[0])
	if err != nil {
		return err
	}
	defer proxy.Close()

	arguments := []string{"token", "--id", given.ClientID, "--resource", resource.Resource}
	environ := append(os.Environ(), "MINTKEEP_URL="+proxy.URL, "MINTKEEP_CLIENT_SECRET="+given.ClientSecret)
	if given.PrivateKey != "" {
		file := filepath.Join(os.TempDir(), fmt.Sprintf("mintkeep-mcp-%d.pem", os.Getpid()))
		if err := os.WriteFile(file, []byte(given.PrivateKey), 0o600); err != nil {
			return err
		}
		defer os.Remove(file)
		arguments = append(arguments, "--key-file", file)
	}
	command := exec.CommandContext(ctx, "mintkeep", arguments...)
	command.Env, command.Stderr = environ, os.Stderr
	token, err := command.Output()
	if err != nil {
		return err
	}
	for id, method := range map[int]string{2: "initialize", 3: "tools/list"} {
		if _, err := sendMCP(ctx, server, strings.TrimSpace(string(token)), id, method); err != nil {
			return err
		}
	}
	return nil
}

// asMintkeep is a proxy in front of an authorization server that has its token endpoint at another path than Mintkeep.
func asMintkeep(ctx context.Context, issuer string) (*httptest.Server, error) {
	var metadata struct {
		TokenEndpoint string `json:"token_endpoint"`
	}
	if err := getJSON(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/oauth-authorization-server", &metadata); err != nil {
		return nil, err
	}
	endpoint, err := url.Parse(metadata.TokenEndpoint)
	if err != nil {
		return nil, err
	}
	return httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		path := r.In.URL.Path
		if path == "/oauth/token" {
			path = endpoint.Path
		}
		r.Out.URL = &url.URL{Scheme: endpoint.Scheme, Host: endpoint.Host, Path: path}
		r.Out.Host = ""
	}}), nil
}

func getJSON(ctx context.Context, address string, v any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return json.NewDecoder(answer.Body).Decode(v)
}

// sendMCP sends a message of MCP. With an error comes the challenge of the server.
func sendMCP(ctx context.Context, server, token string, id int, method string) (challenge string, err error) {
	parameters := map[string]any{}
	if method == "initialize" {
		parameters = map[string]any{
			"protocolVersion": "2025-11-25", "capabilities": map[string]any{},
			"clientInfo": map[string]any{"name": mcpClientCommand, "version": "1"},
		}
	}
	message, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": parameters})
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server, bytes.NewReader(message))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(answer.Body)
		return answer.Header.Get("WWW-Authenticate"), fmt.Errorf("%s: %s: %s", method, answer.Status, said)
	}
	return "", nil
}

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program builds a program of the pages, with other addresses and files than the page has.
func program(t *testing.T, name string, replaced ...string) string {
	t.Helper()
	source, err := filepath.Abs(filepath.Join("testdata", name, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replaced); i += 2 {
		if !strings.Contains(string(text), replaced[i]) {
			t.Fatalf("the program %s has no %s", name, replaced[i])
		}
	}
	folder := t.TempDir()
	mine, overlay := filepath.Join(folder, "main.go"), filepath.Join(folder, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {source: mine}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{mine: strings.NewReplacer(replaced...).Replace(string(text)), overlay: string(replace)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return build(t, ".", "./testdata/"+name, "-overlay", overlay)
}

// secretFile is a file with the secret of a client.
func secretFile(t *testing.T, secret string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start starts a program until the end of the test.
func start(t *testing.T, path string, environ ...string) {
	t.Helper()
	cmd := exec.Command(path)
	cmd.Env, cmd.Stderr = append(os.Environ(), environ...), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// call sends a request with a credential. status is 0 if there is no answer.
func call(t *testing.T, method, url, credential string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if credential != "" {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// The programs of docs/guard.md and of the README do what these say, with the real Mintkeep.
func TestProgramsOfThePages(t *testing.T) {
	b := newRealAtItsIssuer(t)
	token := b.Token("shop", orders, "read", "refund")
	service := freeAddr(t)
	start(t, program(t, "orders", "https://auth.example.com", b.url, "/run/secrets/orders", secretFile(t, b.GuardSecret()), `"orders"`, `"guard"`, ":9000", service))
	eventually(t, "the service listens", func() bool { status, _ := call(t, "GET", "http://"+service+"/orders", ""); return status == 401 })
	if status, body := call(t, "GET", "http://"+service+"/orders", token); status != 200 || body != "orders of shop\n" {
		t.Errorf("a token: %d %s", status, body)
	}
	if status, body := call(t, "GET", "http://"+service+"/orders", b.Key("ada", "read")); status != 200 {
		t.Errorf("an API key: %d %s", status, body)
	}
	if status, _ := call(t, "POST", "http://"+service+"/refunds", token); status != 204 {
		t.Errorf("a refund: %d", status)
	}
	if status, _ := call(t, "POST", "http://"+service+"/refunds", b.Token("shop", orders, "read")); status != 403 {
		t.Errorf("a refund without the scope: %d", status)
	}

	b.register("billing", "read")
	out, err := exec.Command(program(t, "billing", "https://auth.example.com", b.url, "/run/secrets/billing", secretFile(t, b.secrets["billing"]),
		"https://orders.example.com/orders", "http://"+service+"/orders")).CombinedOutput()
	if err != nil || string(out) != "orders of billing\n" {
		t.Errorf("the client prints %s %v", out, err)
	}

	b.Revoke("shop", token)
	eventually(t, "the revocation takes effect", func() bool {
		status, _ := call(t, "GET", "http://"+service+"/orders", token)
		return status == 401
	})
}

func TestProgramOfTheReadme(t *testing.T) {
	b := newRealAtItsIssuer(t)
	token := b.Token("shop", "https://api.example.com", "read")
	service := freeAddr(t)
	start(t, program(t, "readme", "http://localhost:8080", b.url, `"orders"`, `"guard"`, ":9000", service), "ORDERS_SECRET="+b.GuardSecret())
	eventually(t, "the service listens", func() bool { status, _ := call(t, "GET", "http://"+service+"/orders", ""); return status == 401 })
	if status, body := call(t, "GET", "http://"+service+"/orders", token); status != 200 || body != "orders of shop\n" {
		t.Errorf("a token: %d %s", status, body)
	}
	b.Revoke("shop", token)
	eventually(t, "the revocation takes effect", func() bool {
		status, _ := call(t, "GET", "http://"+service+"/orders", token)
		return status == 401
	})
}

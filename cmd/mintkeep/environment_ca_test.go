package main

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A server whose certificate a private authority signed is trusted by MINTKEEP_CA_FILE alone.
func TestCAFile(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"items":[],"access_token":"mkt_abc","token_type":"bearer","active":true}`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	file := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := file("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	environ := []string{
		"MINTKEEP_URL=" + server.URL, "MINTKEEP_ADMIN_TOKEN=" + testToken, "MINTKEEP_CLIENT_ID=a", "MINTKEEP_CLIENT_SECRET=b",
		"MINTKEEP_TOKEN=mkt_abc",
	}
	for _, command := range []string{"client list", "token", "introspect", "audit", "signing-key list"} {
		args := strings.Fields(command)
		if got := mintkeep(t, append(environ, "MINTKEEP_CA_FILE="+ca), "", args...); got.code != exitOK {
			t.Errorf("%s: got %+v", command, got)
		}
		if got := mintkeep(t, environ, "", args...); got.code != exitFailed || strings.Count(got.stderr, "set MINTKEEP_CA_FILE to a file") != 1 {
			t.Errorf("%s without the file: got %+v", command, got)
		}
		for want, path := range map[string]string{
			"MINTKEEP_CA_FILE names a file that cannot be read: nowhere: no such file": "nowhere",
			"MINTKEEP_CA_FILE names a file without a PEM certificate: ":                file("other", []byte("no certificate")),
		} {
			got := mintkeep(t, append(environ, "MINTKEEP_CA_FILE="+path), "", args...)
			if got.code != exitUsage || !strings.Contains(got.stderr, want) {
				t.Errorf("%s with %s: got %+v, want %q", command, path, got, want)
			}
		}
	}
}

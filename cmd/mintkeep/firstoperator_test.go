package main

import (
	"crypto/rand"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// With Redis and no user yet, the start names the command that creates the first operator, and the command does. Once
// there is a user, the start says nothing of it.
func TestFirstOperator(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	r := processtest.StartReady(t, processtest.OnRedis(redis.URL())...)
	named := regexp.MustCompile(`"command":"mintkeep (user create [^"]+)"`).FindStringSubmatch(r.Log.String())
	if named == nil {
		t.Fatalf("the start names no command:\n%s", r.Log)
	}
	environ := []string{"MINTKEEP_URL=" + r.URL, "MINTKEEP_ADMIN_TOKEN=" + processtest.AdminToken}
	if got := mintkeep(t, environ, "", strings.Fields(named[1])...); got.code != exitOK || !strings.Contains(got.stdout, "/invite/") {
		t.Fatalf("%s: %+v, want a link", named[1], got)
	}
	if got := r.Admin(http.MethodGet, "/admin/users", ""); !got.Is(http.StatusOK) || !strings.Contains(got.Body, `"role":"operator"`) {
		t.Errorf("users: %s, want one operator", got)
	}
	second := processtest.StartReady(t, processtest.OnRedis(redis.URL())...)
	if log := second.Log.String(); strings.Contains(log, firstOperator) {
		t.Errorf("with a user, the start names the command:\n%s", log)
	}
	if readme := text(t, "../../README.md"); !strings.Contains(readme, "\n"+firstOperator+"\n") {
		t.Errorf("README.md does not have %q", firstOperator)
	}
}

// The banner has one name for the server: what can be pasted and opened goes to the same origin.
func TestBannerNamesOneServer(t *testing.T) {
	for name, environ := range map[string][]string{
		"the issuer is derived":   nil,
		"the issuer is elsewhere": {"MINTKEEP_ISSUER=https://auth.example.com"},
	} {
		r := processtest.Start(t, environ...)
		processtest.Eventually(t, processtest.Patience, func() bool {
			return strings.Contains(r.Stdout.String(), "MINTKEEP_REDIS_URL")
		}, r.Stdout.String)
		banner := r.Stdout.String()
		_, rest, _ := strings.Cut(banner, "Mintkeep at ")
		server, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
		withoutIssuer := regexp.MustCompile(`(?m)^Issuer .*\n`).ReplaceAllString(banner, "")
		for _, origin := range regexp.MustCompile(`https?://[^/\s]+`).FindAllString(withoutIssuer, -1) {
			if origin != server {
				t.Errorf("%s: the banner names %s and %s:\n%s", name, server, origin, banner)
			}
		}
	}
}

// The banner shows the admin token that the server has generated, and none that the operator has set.
func TestBannerShowsTheAdminTokenThatItGenerated(t *testing.T) {
	token := strings.Repeat("t", 20) + rand.Text()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		environ []string
		want    string
	}{
		"it is generated": {nil, `[A-Z2-7]{52}`},
		"set":             {[]string{"MINTKEEP_ADMIN_TOKEN=" + token}, "as set by MINTKEEP_ADMIN_TOKEN or MINTKEEP_ADMIN_TOKEN_FILE"},
		"in a file":       {[]string{"MINTKEEP_ADMIN_TOKEN_FILE=" + file}, "as set by MINTKEEP_ADMIN_TOKEN or MINTKEEP_ADMIN_TOKEN_FILE"},
	} {
		for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0"} {
			cfg, _, err := config.Load(config.Source{Environ: append(tt.environ, "MINTKEEP_ADDR="+address)})
			if err != nil {
				t.Fatal(err)
			}
			var banner strings.Builder
			if err := welcome(t.Context(), cfg, &net.TCPAddr{Port: 8080}, storetest.Embedded(t).Open(t), &banner); err != nil {
				t.Fatal(err)
			}
			got := banner.String()
			if !regexp.MustCompile(`(?m)^Admin token   `+tt.want+`$`).MatchString(got) || strings.Contains(got, token) {
				t.Errorf("%s, at %s: got\n%s", name, address, got)
			}
		}
	}
}

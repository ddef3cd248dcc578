package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

const orders = "https://orders.example.com"

// stand is a sidecar on a socket.
type stand struct {
	t   *testing.T
	m   *guardtest.Server
	g   *guard.Guard
	log bytes.Buffer
	url string
}

func newStand(t *testing.T, token string) *stand {
	t.Helper()
	s := &stand{t: t, m: guardtest.NewServer(t)}
	counts := newCounters()
	s.g = s.m.Guard(guard.Config{Audiences: []string{orders}, Observe: counts.observe})
	s.m.Settle(s.g)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() {
		served <- serve(ctx, listener, newSidecar(s.g, settings{token: token}, counts, slog.New(slog.NewTextHandler(&s.log, nil))))
	}()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	s.url = listener.Addr().String()
	return s
}

// ask sends a request whose target is exactly so.
func (s *stand) ask(method, target string, header http.Header, body string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, "http://"+s.url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.URL.Opaque = target
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response, string(text)
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

var names = []string{
	"X-Auth-Subject", "X-Auth-Client-Id", "X-Auth-Scope", "X-Auth-Type", "X-Auth-Credential-Id", "X-Auth-Audience", "X-Auth-Expires", "X-Auth-Actor",
}

func TestVerify(t *testing.T) {
	s := newStand(t, "")
	token, key := s.m.Token("billing", orders, "read"), s.m.Key("ada\nX-Evil: é", orders, "read", "write")
	for name, c := range map[string]struct {
		target, credential string
		status             int
	}{
		"a token":                      {"/verify?scope=read", token, 200},
		"a key, with two scopes":       {"/verify?scope=read&scope=write", key, 200},
		"as a path":                    {"/verify/scope=read,strict=1/orders/7?scope=none&audience=x", token, 200},
		"a path that climbs":           {"/verify/scope=refund/../scope=read/", token, 403},
		"a path that climbs, encoded":  {"/verify/scope=refund/%2e%2e/scope=read/", token, 403},
		"a scope that is lacking":      {"/verify?scope=refund", token, 403},
		"another audience":             {"/verify?scope=read&audience=https://other.example.com", token, 401},
		"no credential":                {"/verify?scope=read", "", 401},
		"junk":                         {"/verify?scope=read", "junk", 401},
		"a typo":                       {"/verify?scop=read", token, 500},
		"an empty scope":               {"/verify?scope=", token, 500},
		"no requirement":               {"/verify", token, 500},
		"no requirement, as a path":    {"/verify/", token, 500},
		"only the path of the request": {"/verify/orders", token, 500},
		"a typo, as a path":            {"/verify/scop=read/x", token, 500},
	} {
		header := http.Header{}
		if c.credential != "" {
			header = bearer(c.credential)
		}
		header["X-Original-Uri"] = []string{"/verify?scope=none"}
		response, body := s.ask(http.MethodGet, c.target, header, "")
		if response.StatusCode != c.status {
			t.Errorf("%s: %d %s, want %d", name, response.StatusCode, body, c.status)
		}
		if response.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: may be cached", name)
		}
		for _, header := range names {
			if _, there := response.Header[header]; there != (c.status == 200) {
				t.Errorf("%s: %s is there: %v", name, header, there)
			}
		}
	}
	response, _ := s.ask(http.MethodGet, "/verify?scope=read", bearer(key), "")
	if got := response.Header.Get("X-Auth-Subject"); got != "ada%0AX-Evil: %C3%A9" {
		t.Errorf("the subject is %q", got)
	}
	if response.Header.Get("X-Evil") != "" {
		t.Error("a header was injected")
	}
	if !strings.Contains(s.log.String(), "unknown requirement: scop") {
		t.Errorf("the log does not name the typo:\n%s", &s.log)
	}
}

func TestIntrospect(t *testing.T) {
	s := newStand(t, "a-secret-of-the-machine")
	token := s.m.Token("billing", orders, "read")
	if response, _ := s.ask(http.MethodPost, "/introspect", nil, "token="+token); response.StatusCode != 401 {
		t.Errorf("without the token of the sidecar: %d", response.StatusCode)
	}
	own := bearer("a-secret-of-the-machine")
	if _, body := s.ask(http.MethodPost, "/introspect", own, "token="+token); !strings.Contains(body, `"active":true`) || !strings.Contains(body, `"client_id":"billing"`) {
		t.Errorf("got %s", body)
	}
	key := s.m.Key("ada", orders, "read")
	s.m.Describe(key, map[string]any{"name": "backup", "metadata": map[string]string{"team": "storage"}, "username": "ada@example.com"})
	_, body := s.ask(http.MethodPost, "/introspect", own, "token="+key)
	for _, want := range []string{`"name":"backup"`, `"metadata":{"team":"storage"}`, `"username":"ada@example.com"`} {
		if !strings.Contains(body, want) || strings.Contains(body, "rate_limit") {
			t.Errorf("got %s, want %s", body, want)
		}
	}
	s.m.Revoke(token)
	s.m.Settle(s.g)
	if _, body := s.ask(http.MethodPost, "/introspect", own, "token="+token); strings.TrimSpace(body) != `{"active":false}` {
		t.Errorf("got %s", body)
	}
	if response, _ := s.ask(http.MethodPost, "/introspect", own, ""); response.StatusCode != 400 {
		t.Errorf("without a token: %d", response.StatusCode)
	}
	s.m.Down()
	if response, _ := s.ask(http.MethodPost, "/introspect", own, "token="+s.m.Token("billing", orders)); response.StatusCode != 503 {
		t.Errorf("without Mintkeep: %d", response.StatusCode)
	}
	if _, body := s.ask(http.MethodGet, "/metrics", nil, ""); !strings.Contains(body, `mintkeep_guard_refused_total{reason="revoked_or_unknown"}`) ||
		!strings.Contains(body, `mintkeep_guard_state{state="blind"} 0`) || !strings.Contains(body, "\nmintkeep_guard_known_age_seconds 0.") {
		t.Errorf("the metrics are\n%s", body)
	}
}

// The dashboard of Mintkeep shows metrics of this process: each that it names is in a scrape.
func TestBoardNamesMetricsThatExist(t *testing.T) {
	s := newStand(t, "a-secret-of-the-machine")
	_, scrape := s.ask(http.MethodGet, "/metrics", nil, "")
	board, err := os.ReadFile("../../../../docs/deploy/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`mintkeep_guard_[a-z_]+`).FindAllString(string(board), -1)
	for _, name := range named {
		if !strings.Contains(scrape, "# TYPE "+name+" ") {
			t.Errorf("no %s in\n%s", name, scrape)
		}
	}
	if len(named) == 0 {
		t.Error("the dashboard names no metric of the guard")
	}
}

// Each metric is in docs/guard.md, and each that the page names is there.
func TestMetricsOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/guard.md")
	if err != nil {
		t.Fatal(err)
	}
	s := newStand(t, "")
	s.ask(http.MethodGet, "/verify?scope=read", nil, "")
	_, body := s.ask(http.MethodGet, "/metrics", nil, "")
	there := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) `).FindAllStringSubmatch(body, -1) {
		there[m[1]] = true
		if !strings.Contains(string(page), "`"+m[1]+"`") {
			t.Errorf("the page does not have %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile("`(mintkeep_guard_[a-z_]+)`").FindAllStringSubmatch(string(page), -1) {
		if !there[m[1]] {
			t.Errorf("there is no %s", m[1])
		}
	}
}

func TestSettings(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := map[string]string{
		"MINTKEEP_ISSUER": "https://auth.example.com", "MINTKEEP_CLIENT_ID": "orders", "MINTKEEP_CLIENT_SECRET_FILE": secret,
		"MINTKEEP_GUARD_AUDIENCES": orders + ", other",
	}
	for name, c := range map[string]struct {
		args  []string
		set   [2]string
		wrong string

		misspelt string
	}{
		"good":                     {},
		"a misspelt setting":       {misspelt: "MINTKEEP_GUARD_MAXSTALE", wrong: "MINTKEEP_GUARD_MAXSTALE"},
		"a socket":                 {set: [2]string{"MINTKEEP_GUARD_ADDR", "unix:/run/x.sock"}},
		"grace":                    {set: [2]string{"MINTKEEP_GUARD_WHEN_STALE", "grace:10s"}},
		"anywhere":                 {set: [2]string{"MINTKEEP_GUARD_ADDR", "0.0.0.0:8181"}, wrong: "MINTKEEP_GUARD_ADDR"},
		"anywhere, as was said":    {set: [2]string{"MINTKEEP_GUARD_ADDR", "0.0.0.0:8181"}, args: []string{listenAnywhere}},
		"no issuer":                {set: [2]string{"MINTKEEP_ISSUER", ""}, wrong: "MINTKEEP_ISSUER"},
		"no audience":              {set: [2]string{"MINTKEEP_GUARD_AUDIENCES", ""}, wrong: "MINTKEEP_GUARD_AUDIENCES"},
		"an unknown mode":          {set: [2]string{"MINTKEEP_GUARD_WHEN_STALE", "open"}, wrong: "MINTKEEP_GUARD_WHEN_STALE"},
		"no duration":              {set: [2]string{"MINTKEEP_GUARD_MAX_STALE", "1"}, wrong: "MINTKEEP_GUARD_MAX_STALE"},
		"a lease that is too long": {set: [2]string{"MINTKEEP_GUARD_MAX_STALE", "20s"}, wrong: "MINTKEEP_GUARD_MAX_STALE: 20s is not from 300ms to 10s"},
		"a grace that is too long": {set: [2]string{"MINTKEEP_GUARD_WHEN_STALE", "grace:2h"}, wrong: "MINTKEEP_GUARD_WHEN_STALE: a grace of 2h0m0s"},
		"no entries":               {set: [2]string{"MINTKEEP_GUARD_MAX_ENTRIES", "-1"}, wrong: "MINTKEEP_GUARD_MAX_ENTRIES: -1 is less than 1"},
		"an issuer in plain text":  {set: [2]string{"MINTKEEP_ISSUER", "http://auth.example.com"}, wrong: "MINTKEEP_ISSUER: \"http://auth.example.com\" sends credentials in plain text"},
		"no file":                  {set: [2]string{"MINTKEEP_CLIENT_SECRET_FILE", "/nowhere"}, wrong: "MINTKEEP_CLIENT_SECRET_FILE: open /nowhere"},
		"a URL that is none":       {set: [2]string{"MINTKEEP_GUARD_PUBLIC_URL", "orders"}, wrong: "MINTKEEP_GUARD_PUBLIC_URL: \"orders\" is not"},
		"an unknown argument":      {args: []string{"--verbose"}, wrong: "--verbose"},
	} {
		s, err := readSettings(c.args, func(name string) string {
			if name == c.set[0] {
				return c.set[1]
			}
			return good[name]
		}, []string{"MINTKEEP_GUARD_ADDR=x", c.misspelt + "=x"})
		switch {
		case (err != nil) != (c.wrong != ""), err != nil && !strings.Contains(err.Error(), c.wrong):
			t.Errorf("%s: %v", name, err)
		case err == nil && len(s.guard.Audiences) != 2:
			t.Errorf("%s: the audiences are %q", name, s.guard.Audiences)
		}
		if err != nil && (strings.Contains(err.Error(), "guard: ") || strings.Contains(err.Error(), "Config") || strings.Count(err.Error(), "\n") > 0) {
			t.Errorf("%s: the error is for a programmer: %v", name, err)
		}
	}
}

// A socket has the mode 0660, and one that was left behind is replaced.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "guard.sock")
	first, err := listen(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listen(t.Context(), "unix:"+path); err == nil {
		t.Error("the socket of a process that runs was replaced")
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = first.Close()
	second, err := listen(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != socketMode {
		t.Errorf("the socket is %v %v", info.Mode(), err)
	}
}

func TestRun(t *testing.T) {
	m := guardtest.NewServer(t)
	secret, socket := filepath.Join(t.TempDir(), "secret"), filepath.Join(t.TempDir(), "guard.sock")
	if err := os.WriteFile(secret, []byte(guardtest.ClientSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := map[string]string{
		"MINTKEEP_ISSUER": m.URL, "MINTKEEP_CLIENT_ID": guardtest.ClientID, "MINTKEEP_CLIENT_SECRET_FILE": secret,
		"MINTKEEP_GUARD_AUDIENCES": orders, "MINTKEEP_GUARD_ADDR": "unix:" + socket,
	}
	ctx, stop := context.WithCancel(context.Background())
	code := make(chan int)
	go func() {
		code <- run(ctx, nil, func(name string) string { return environ[name] }, nil, io.Discard, io.Discard)
	}()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	ready := func() bool {
		response, err := client.Get("http://guard/readyz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == 200
	}
	for began := time.Now(); !ready(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("not ready")
		}
	}
	stop()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d", got)
	}
	if got := run(t.Context(), nil, func(string) string { return "" }, nil, io.Discard, io.Discard); got != exitUsage {
		t.Errorf("without settings: exit code %d", got)
	}
}

package main

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// hangups is a server whose secrets stand in files, and an operator who changes them and sends SIGHUP.
type hangups struct {
	*processtest.Server
	t     *testing.T
	files map[string]string // by the setting
	sent  int
}

func withFiles(t *testing.T, content map[string]string) *hangups {
	t.Helper()
	h := &hangups{t: t, files: map[string]string{}}
	environ := []string{"MINTKEEP_ISSUER=" + processtest.Issuer}
	for setting := range content {
		h.files[setting] = filepath.Join(t.TempDir(), setting)
		environ = append(environ, "MINTKEEP_"+setting+"_FILE="+h.files[setting])
		h.write(setting, content[setting])
	}
	h.Server = processtest.StartReady(t, environ...)
	return h
}

func (h *hangups) write(setting, content string) {
	h.t.Helper()
	if err := os.WriteFile(h.files[setting], []byte(content+"\n"), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// change writes a file, sends SIGHUP and returns what the server logs of it.
func (h *hangups) change(setting, content string) (log string) {
	h.t.Helper()
	h.write(setting, content)
	before := len(h.Log.String())
	h.Signal(h.t, syscall.SIGHUP)
	h.sent++
	processtest.Eventually(h.t, 10*time.Second, func() bool {
		if h.Gone() {
			h.t.Fatalf("the server has exited: %v\n%s", h.Wait(), h.Log)
		}
		log := h.Log.String()
		return strings.Count(log, "reloaded the certificate and the settings")+strings.Count(log, "not everything could be reloaded") == h.sent
	}, h.Log.String)
	return h.Log.String()[before:]
}

func (h *hangups) wantChanged(log, setting string) {
	h.t.Helper()
	if !strings.Contains(log, `"changed":"`+setting+`"`) || strings.Contains(log, `"level":"ERROR"`) {
		h.t.Errorf("got %s\nwant %s as changed, and no error", log, setting)
	}
}

// wantKept is that the log names the setting, and nothing of the content.
func (h *hangups) wantKept(log, setting, content string) {
	h.t.Helper()
	if !strings.Contains(log, `"level":"ERROR","msg":"`+setting+` cannot be used`) || !strings.Contains(log, `"changed":"nothing","kept":"`+setting+`"`) || strings.Contains(log, `"msg":"reloaded the`) {
		h.t.Errorf("got %s\nwant an error that names %s, and no line of success", log, setting)
	}
	if strings.Contains(log, content) {
		h.t.Errorf("the log has the content: %s", log)
	}
}

// admin is the status of a request at /admin with the token.
func (h *hangups) admin(token string) int {
	h.t.Helper()
	return h.Call(http.MethodGet, "/admin/clients", "", "", "Bearer "+token).Status
}

// beginIssue sends a request for a token without its body, and returns when the server waits for that. finish sends it, and
// is the status of the answer.
func (h *hangups) beginIssue(client string) (finish func() int) {
	h.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.URL, "http://"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	const body = "grant_type=client_credentials"
	fmt.Fprintf(conn, "POST /oauth/token HTTP/1.1\r\nHost: h\r\nAuthorization: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", client, len(body))
	answers := bufio.NewReader(conn)
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
		h.t.Fatalf("got %q, %v; want 100 Continue", line, err)
	}
	_, _ = answers.ReadString('\n') // the end of its head
	return func() int {
		h.t.Helper()
		_, _ = io.WriteString(conn, body)
		r, err := http.ReadResponse(answers, nil)
		if err != nil {
			h.t.Fatal(err)
		}
		defer r.Body.Close()
		return r.StatusCode
	}
}

func newMasterKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}

const (
	tokenTwo   = "the-second-token-for-tests-0123456789"
	tokenThree = "the-third-token-for-tests-0123456789"
)

// SIGHUP takes what stands in the files, and a request that is under way goes on.
func TestHangup(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	do(t, redis, "ACL", "SETUSER", "mint", "on", ">first", "~*", "+@all")
	url := func(password string) string {
		return strings.Replace(redis.URL(), "://", "://mint:"+password+"@", 1)
	}
	h := withFiles(t, map[string]string{
		"REDIS_URL": url("first"), "MASTER_KEY": processtest.MasterKey, "ADMIN_TOKEN": processtest.AdminToken, "ADMIN_TOKEN_NEXT": tokenTwo,
	})
	client := h.Register(t, `{"scope":"read"}`)

	finish := h.beginIssue(client)
	h.wantKept(h.change("ADMIN_TOKEN", "short-canary"), "MINTKEEP_ADMIN_TOKEN", "short-canary")
	if got := finish(); got != http.StatusOK {
		t.Errorf("a request that was under way: %d, want 200", got)
	}
	h.wantChanged(h.change("ADMIN_TOKEN", tokenThree), "MINTKEEP_ADMIN_TOKEN")
	for token, want := range map[string]int{processtest.AdminToken: 401, tokenTwo: 200, tokenThree: 200} {
		if got := h.admin(token); got != want {
			t.Errorf("after the change, %s gets %d, want %d", token, got, want)
		}
	}

	fresh := newMasterKey()
	h.wantKept(h.change("MASTER_KEY", fresh), "MINTKEEP_MASTER_KEY", fresh) // it opens nothing
	h.wantChanged(h.change("MASTER_KEY", fresh+","+processtest.MasterKey), "MINTKEEP_MASTER_KEY")
	if got := mintkeep(t, []string{"MINTKEEP_REDIS_URL=" + url("first"), "MINTKEEP_MASTER_KEY=" + fresh + "," + processtest.MasterKey}, "", "rekey", "--yes"); got.code != exitOK {
		t.Fatalf("rekey: %+v", got)
	}
	h.wantChanged(h.change("MASTER_KEY", fresh), "MINTKEEP_MASTER_KEY")
	if got := h.Call(http.MethodPost, "/admin/signing-keys/rotate", "application/json", `{"compromised":true}`, "Bearer "+tokenThree); !got.Is(http.StatusCreated) {
		t.Errorf("rotate: %s", got)
	}

	h.wantKept(h.change("REDIS_URL", url("unknown-canary")), "MINTKEEP_REDIS_URL", "unknown-canary")
	h.wantKept(h.change("REDIS_URL", "redis://mint:first@127.0.0.1:1"), "MINTKEEP_REDIS_URL", "mint:first")
	do(t, redis, "ACL", "SETUSER", "mint", ">second")
	h.wantChanged(h.change("REDIS_URL", url("second")), "MINTKEEP_REDIS_URL")
	do(t, redis, "ACL", "SETUSER", "mint", "<first")
	do(t, redis, "CLIENT", "KILL", "USER", "mint")
	processtest.Eventually(t, 10*time.Second, h.Ready, h.Log.String)
	h.Token(t, client)

	h.Signal(t, syscall.SIGTERM)
	if err := h.Wait(); err != nil {
		t.Errorf("ended with %v, want exit code 0\n%s", err, h.Log)
	}
}

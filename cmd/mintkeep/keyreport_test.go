package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/credential"
)

// reports is an admin route that takes reports; of each, so many were active.
func reports(t *testing.T, live int) *admin {
	return newAdmin(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"received":0,"live":%d}`, live)
	})
}

// reported takes the credentials out of what was asked.
func reported(t *testing.T, server *admin) [][]string {
	t.Helper()
	var batches [][]string
	for _, line := range server.asked {
		var body struct{ Credentials []string }
		text, ok := strings.CutPrefix(line, "POST /admin/keys/report application/json ")
		if err := json.Unmarshal([]byte(text), &body); !ok || err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		batches = append(batches, body.Credentials)
	}
	return batches
}

func TestKeyReport(t *testing.T) {
	secret, token, other := credential.NewSecret("mk"), credential.NewToken("mk"), credential.NewKey("acme")
	leak := fmt.Sprintf("KEY=%s\n{\"a\":\"{\\\"b\\\":\\\"\\n%s\\\"}\"}\n# %s again, and %s, but not %s0\n%s",
		secret, token, secret, other, other[:20], token[1:])
	for _, tt := range []struct {
		text string
		live int
		want string
	}{
		{leak, 0, "Found 3 credentials; revoked 0\n"},
		{leak, 1, "Found 3 credentials; revoked 1\n"},
		{leak, 3, "Found 3 credentials; revoked 3\n"},
		{secret, 1, "Found 1 credential; revoked 1\n"},
	} {
		server := reports(t, tt.live)
		got := mintkeep(t, server.environ(), tt.text, "key", "report")
		if want := (result{stdout: tt.want}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		want := [][]string{{secret, token, other}}
		if tt.text == secret {
			want = [][]string{{secret}}
		}
		if d := cmp.Diff(want, reported(t, server)); d != "" {
			t.Errorf("reported (-want +got):\n%s", d)
		}
	}
	server := reports(t, 2)
	got := mintkeep(t, server.environ(), leak, "key", "report", "--json")
	if want := (result{stdout: "{\n  \"found\": 3,\n  \"live\": 2\n}\n"}); got != want {
		t.Errorf("with --json: got %+v, want %+v", got, want)
	}
}

func TestKeyReportOfNothing(t *testing.T) {
	const stderr = "mintkeep: found no credential; nothing was reported\n"
	const inJSON = `{"error":"failed","error_description":"found no credential; nothing was reported"}` + "\n"
	secret := credential.NewSecret("mk")
	for _, text := range []string{"", "mks_", secret[1 : len(secret)-1], strings.ToLower(secret)} {
		server := reports(t, 0)
		got := mintkeep(t, server.environ(), text, "key", "report")
		if want := (result{code: exitFailed, stderr: stderr}); got != want || len(server.asked) > 0 {
			t.Errorf("%q: got %+v after %q, want %+v and no call", text, got, server.asked, want)
		}
		got = mintkeep(t, server.environ(), text, "key", "report", "--json")
		if want := (result{code: exitFailed, stdout: "{\n  \"found\": 0,\n  \"live\": 0\n}\n", stderr: inJSON}); got != want {
			t.Errorf("%q with --json: got %+v, want %+v", text, got, want)
		}
	}
}

// The server takes 1,000 at a time, in 64 KiB. The caller's own credential goes
// last, because nothing can be reported after it.
func TestKeyReportInBatches(t *testing.T) {
	own := credential.NewToken("abcdefgh")
	want := []string{}
	for range 2500 {
		want = append(want, credential.NewSecret("abcdefgh"))
	}
	server := newAdmin(t, nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if len(body) > 64<<10 {
			t.Errorf("a report has %d bytes", len(body))
		}
		server.asked = append(server.asked, "POST /admin/keys/report application/json "+string(body))
		_, _ = io.WriteString(w, `{"live":10}`)
	})
	environ := []string{"MINTKEEP_URL=" + server.URL, "MINTKEEP_ADMIN_TOKEN=" + own}
	got := mintkeep(t, environ, own+strings.Join(want, "\n")+own, "key", "report")
	batches := reported(t, server)
	if want := (result{stdout: fmt.Sprintf("Found 2501 credentials; revoked %d\n", 10*len(batches))}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, batch := range batches {
		if len(batch) > 1000 {
			t.Errorf("a report has %d credentials", len(batch))
		}
	}
	if d := cmp.Diff(append(want, own), slices.Concat(batches...)); d != "" {
		t.Errorf("reported (-want +got):\n%s", d)
	}
}

// What was done before an error is reported, because it holds.
func TestKeyReportFails(t *testing.T) {
	var leak strings.Builder
	for range 1500 {
		leak.WriteString(credential.NewSecret("mk") + "\n")
	}
	var calls, failing int
	server := newAdmin(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls == failing {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, `{"live":7}`)
	})
	for n, want := range []string{
		"mintkeep: the server rejected the request (503 Service Unavailable); nothing is known to be revoked: report the text again\n",
		"mintkeep: the server rejected the request (503 Service Unavailable); before that: Found 999 credentials; revoked 7. Report the text again\n",
	} {
		calls, failing = 0, n+1
		got := mintkeep(t, server.environ(), leak.String(), "key", "report")
		if want := (result{code: exitFailed, stderr: want}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestKeyReportOfBrokenInput(t *testing.T) {
	server := reports(t, 1)
	for _, text := range []io.Reader{
		iotest.ErrReader(errors.New("broken pipe")),
		io.MultiReader(strings.NewReader(credential.NewSecret("mk")), iotest.ErrReader(errors.New("broken pipe"))),
	} {
		var stdout, stderr strings.Builder
		code := run(t.Context(), process{args: []string{"key", "report"}, environ: server.environ(), stdin: text, stdout: &stdout, stderr: &stderr})
		got := result{code, stdout.String(), stderr.String()}
		want := result{code: exitFailed, stderr: "mintkeep: reading the standard input: broken pipe; nothing is known to be revoked: report the text again\n"}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// Ctrl-C stops a command that waits for a user to type.
func TestTypingIsInterrupted(t *testing.T) {
	for _, args := range []string{"key report", "apply -f -", "client create --secret-file -", "client create --jwks-file -"} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		waiting, never := io.Pipe()
		defer never.Close()
		var stderr strings.Builder
		code := run(ctx, process{args: strings.Fields(args), environ: reports(t, 0).environ(), stdin: waiting, stdout: io.Discard, stderr: &stderr})
		if code == exitOK || !strings.Contains(stderr.String(), "context canceled") && args != "key report" {
			t.Errorf("%s: got %d, %s", args, code, stderr.String())
		}
	}
}

// The set of what was seen is bounded, and nothing is lost by that.
func TestReportMemoryIsBounded(t *testing.T) {
	r := &report{seen: map[digest]bool{}}
	for i := range maxSeen {
		r.seen[digest{byte(i), byte(i >> 8), byte(i >> 16), 1}] = true
	}
	s := credential.NewSecret("mk")
	if !r.isNew(s) || r.isNew(s) || len(r.seen) != 1 {
		t.Errorf("got %d seen", len(r.seen))
	}
}

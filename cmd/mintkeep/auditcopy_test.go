package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/fence"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// awaitLines waits until the file has so many lines, and returns them.
func awaitLines(t *testing.T, path string, n int) []string {
	t.Helper()
	content := func() string {
		text, _ := os.ReadFile(path) // not there yet
		return string(text)
	}
	processtest.Eventually(t, processtest.Patience, func() bool { return strings.Count(content(), "\n") >= n }, content)
	return strings.SplitAfter(strings.TrimSuffix(content(), "\n"), "\n")
}

// Changes and rejections are in the file as the admin API has them, and mintkeep fence reads them. A file that was rotated away
// gets no more after SIGHUP, and one that cannot be opened leaves the previous one in use.
func TestAuditCopy(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	s := processtest.StartReady(t, append(processtest.OnRedis(storetest.Redis(t).URL()), "MINTKEEP_AUDIT_LOG="+path)...)
	s.Register(t, `{"client_id":"billing","scope":"read"}`)
	s.Issue("Basic YmlsbGluZzpjYW5hcnktc2VjcmV0")
	lines := awaitLines(t, path, 2)
	for i, query := range []string{"", "?refusals=true"} {
		var page struct{ Items []any }
		var line any
		if err := errors.Join(json.Unmarshal([]byte(s.Admin(http.MethodGet, "/admin/audit"+query, "").Body), &page), json.Unmarshal([]byte(lines[i]), &line)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(page.Items, []any{line}); diff != "" {
			t.Errorf("the admin API and the file differ (-API +file)\n%s", diff)
		}
	}
	if strings.Contains(strings.Join(lines, ""), "canary-secret") {
		t.Error("the file has a secret")
	}
	if events, _, err := fence.Read(strings.NewReader(strings.Join(lines, "")), time.Time{}); err != nil || len(events) != 2 || events[0].ID == "" {
		t.Errorf("fence reads %+v, %v", events, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has the mode %v, %v; want 0600", info.Mode(), err)
	}

	rotated := path + ".1"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	reload := func(want string) {
		t.Helper()
		before := len(s.Log.String())
		s.Signal(t, syscall.SIGHUP)
		processtest.Eventually(t, processtest.Patience, func() bool { return strings.Contains(s.Log.String()[before:], want) }, s.Log.String)
	}
	must(os.Rename(path, rotated))
	reload("reloaded the certificate")
	s.Register(t, `{"client_id":"second"}`)
	if line := awaitLines(t, path, 1)[0]; !strings.Contains(line, "client:second") || len(awaitLines(t, rotated, 2)) != 2 {
		t.Errorf("after SIGHUP the new file has %s", line)
	}
	must(os.Rename(path, rotated))
	must(os.Mkdir(path, 0o700))
	reload(`"kept":"MINTKEEP_AUDIT_LOG"`)
	s.Register(t, `{"client_id":"third"}`)
	if lines := awaitLines(t, rotated, 2); !strings.Contains(lines[1], "client:third") {
		t.Errorf("while the new file cannot be opened, the previous one has %s", lines)
	}
	if n := s.Metric(t, `mintkeep_audit_not_written_total{to="copy"}`); n != 0 {
		t.Errorf("%v events are counted as not written, want none", n)
	}
}

// A server whose file cannot be opened does not start.
func TestAuditCopyCannotBeOpened(t *testing.T) {
	t.Parallel()
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "absent", "audit.jsonl")} {
		got := mintkeep(t, []string{"MINTKEEP_AUDIT_LOG=" + path}, "", "serve", "--addr=127.0.0.1:0", "--metrics-addr=")
		if got.code != exitUsage || !strings.Contains(got.stderr, "MINTKEEP_AUDIT_LOG: ") {
			t.Errorf("%s: exit code %d, %s", path, got.code, got.stderr)
		}
	}
}

// On stdout the lines are among nothing else, and a reader that stops reading delays no request.
func TestAuditCopyOnStdout(t *testing.T) {
	t.Parallel()
	s := processtest.StartReady(t, append(processtest.OnRedis(storetest.Redis(t).URL()), "MINTKEEP_AUDIT_LOG=stdout")...)
	release := s.Stdout.Hold()
	s.Register(t, `{"client_id":"billing"}`)
	release()
	processtest.Eventually(t, processtest.Patience, func() bool { return strings.HasSuffix(s.Stdout.String(), "}\n") }, s.Stdout.String)
	if got := s.Stdout.String(); !strings.HasPrefix(got, `{"id":"`) || !strings.Contains(got, `"action":"client.created"`) {
		t.Errorf("stdout has %s", got)
	}
}

// shortWriter takes so many bytes, and then none until it is given more.
type shortWriter struct {
	bytes.Buffer
	room int
}

func (w *shortWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.room)
	w.room -= n
	w.Buffer.Write(p[:n])
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// A full disk costs the events that find no room, which are counted, and no line of those that do.
func TestAuditCopyOnAFullDisk(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	lost, disk := 0, &shortWriter{room: 13}
	c := &auditCopy{to: disk, log: slog.New(slog.NewTextHandler(&log, nil)), lost: func(events int) { lost += events }}
	write := func(lines string) {
		if n, err := c.Write([]byte(lines)); n != len(lines) || err != nil {
			t.Errorf("%q: got %d, %v", lines, n, err)
		}
	}
	write("{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n") // room for one and a half
	write("{\"d\":4}\n")
	disk.room = 100
	write("{\"e\":5}\n")
	if want := "{\"a\":1}\n{\"b\":\n{\"e\":5}\n"; disk.String() != want || lost != 3 {
		t.Errorf("%q was written and %d are counted as lost, want %q and 3", disk, lost, want)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "no space left") {
		t.Errorf("want one line in the log, got\n%s", &log)
	}
}

// A file whose last line was cut short, by a power loss or a full disk, gets the next event in a line of its own, after a restart and
// after SIGHUP. One that ends with a line is continued as it is.
func TestAuditCopyAfterALineCutShort(t *testing.T) {
	t.Parallel()
	const event = "{\"a\":1}\n"
	for name, tt := range map[string]struct {
		has  string
		mode os.FileMode
		want string
	}{
		"cut short":               {event + `{"b"`, 0o600, event + `{"b"` + "\n" + event},
		"whole":                   {event, 0o600, event + event},
		"empty":                   {"", 0o600, event},
		"it must not be read":     {event, 0o200, event + "\n" + event},
		"new":                     {"", 0, event},
		"cut short by many zeros": {event + "\x00\x00", 0o600, event + "\x00\x00\n" + event},
	} {
		if name == "it must not be read" && os.Geteuid() == 0 {
			continue // root may read all
		}
		for _, how := range []string{"restart", "SIGHUP"} {
			t.Run(name+", "+how, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "audit.jsonl")
				write := func() {
					if tt.mode == 0 {
						return
					}
					if err := os.WriteFile(path, []byte(tt.has), tt.mode); err != nil {
						t.Fatal(err)
					}
				}
				write()
				c, err := openAuditCopy(&config.Config{AuditLog: path}, nil, slog.New(slog.DiscardHandler), func(int) {})
				if err != nil {
					t.Fatal(err)
				}
				if how == "SIGHUP" {
					if err := os.Remove(path); err != nil {
						t.Fatal(err)
					}
					write()
					if err := c.Reopen(); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := c.Write([]byte(event)); err != nil {
					t.Fatal(err)
				}
				_ = os.Chmod(path, 0o600)
				if got, err := os.ReadFile(path); err != nil || string(got) != tt.want {
					t.Errorf("the file has %q, %v; want %q", got, err, tt.want)
				}
			})
		}
	}
}

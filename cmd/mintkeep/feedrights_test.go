package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// An ACL that denies what the feed needs is rejected at the start, with the line to add: exit code 2. Without the feed the
// server runs.
func TestFeedRights(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	rule := func(words ...any) {
		t.Helper()
		if _, err := redis.Do(append([]any{"ACL", "SETUSER", "narrow"}, words...)...); err != nil {
			t.Fatal(err)
		}
	}
	rule("on", ">password-of-a-test", "~mk:*", "+@all", "-xadd", "-xread")
	url := strings.Replace(redis.URL(), "redis://", "redis://narrow:password-of-a-test@", 1)
	environ := append(processtest.OnRedis(url), "MINTKEEP_ADDR=127.0.0.1:0", "MINTKEEP_METRICS_ADDR=")
	const want = "mintkeep: the feed, by which guards learn of revocations, needs rights that Redis denies: " +
		"run ACL SETUSER narrow +xadd +xread, or set MINTKEEP_FEED=off\n"
	if got := mintkeep(t, environ, "", "serve"); got.code != exitUsage || got.stderr != want {
		t.Errorf("exit code %d\n got %s\nwant %s", got.code, got.stderr, want)
	}
	rule("+xadd") // which the audit log needs too
	r := processtest.Start(t, append(processtest.OnRedis(url), "MINTKEEP_FEED=off")...)
	processtest.Eventually(t, processtest.Patience, r.Ready, r.Log.String)
	if got := r.Get("/openapi.yaml"); !got.Is(http.StatusOK) {
		t.Errorf("without the feed it answers %s", got)
	}
}

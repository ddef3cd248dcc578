package storetest_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store/storetest"
)

// What a script writes is what it was written from.
func TestScript(t *testing.T) {
	b := storetest.Redis(t).Backend(t)
	b.Do("SET", "plain", "value")
	b.Do("SET", "mk:\x00\xff\n", "\"`\\ # ä€\x80")
	b.Do("PEXPIRE", "plain", time.Hour.Milliseconds())
	b.Do("SET", "# no remark", "")
	b.Do("HSET", "hash", "b", "2", "a", `{"n": 1}`, "", " ")
	b.Do("ZADD", "set", "inf", "a", "1.5", "b\x00c")
	b.Do("XADD", "stream", "1-1", "e", "x")
	script, dump := b.Script(t), b.Dump(t)
	for _, key := range dump.Keys() {
		b.Do("DEL", key)
	}
	b.Play(t, append([]string{"# a remark", ""}, script...))
	if diff := cmp.Diff(script, b.Script(t)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := len(b.Dump(t)); got != len(dump) || got != 6 {
		t.Errorf("%d keys, want %d", got, len(dump))
	}
	if got := b.Do("GET", "mk:\x00\xff\n"); got != "\"`\\ # ä€\x80" {
		t.Errorf("got %q", got)
	}
}

package dashboard_test

import (
	"encoding/base64"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// After a change of the master key, a sign-in stores the password again. Another sign-in may do so at the same time: both
// have the right password, and both succeed.
func TestSignInsThatRehash(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	p, b := storetest.NewLateProxy(t, redis), redis.Backend(t)
	key := func(name string) string { d := store.DigestOf(name); return base64.StdEncoding.EncodeToString(d[:]) }
	before := servertest.New(t, b, "MINTKEEP_MASTER_KEY="+key("old"))
	_, u := newcomer(t, before, "ada@example.com")
	changed := "MINTKEEP_MASTER_KEY=" + key("new") + "," + key("old")
	slow, other := servertest.New(t, b.Through(p).Patient(), changed), servertest.New(t, b, changed)

	held := p.Hold(storetest.Command("hset", "mk:p:"+u.ID)) // the new hash of the first
	first := visit(t, slow)
	answer := make(chan page, 1)
	go func() { answer <- first.signIn(u.Email, secret) }()
	held.Await()
	visit(t, other).signIn(u.Email, secret).wantTo("/settings")
	held.Release()
	(<-answer).wantTo("/settings")
}

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// past is what is in the Redis of an installation that ran an earlier version; see store/recordset_test.go.
type past struct {
	redis     *storetest.Server
	MasterKey string    `json:"master_key"`
	Secrets   [2]string `json:"client_secrets"` // of the client billing; the second has no end
	JWT       string    `json:"jwt"`            // of billing, until 2100
	APIKeys   [5]string `json:"api_keys"`       // of Ada; the first has no end
	Password  string    `json:"password"`       // of ada@example.com
}

func thePast(t *testing.T) *past {
	t.Helper()
	const dir = "../../store/testdata/records"
	p := &past{redis: storetest.Redis(t)}
	body, err := os.ReadFile(filepath.Join(dir, "made.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, p); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(dir, "1.redis"))
	if err != nil {
		t.Fatal(err)
	}
	p.redis.Backend(t).Play(t, strings.Split(string(script), "\n"))
	return p
}

// billing is the value of the client's Authorization header.
func (p *past) billing() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("billing:"+p.Secrets[1]))
}

// What an operator sees of a change of the master key, from the first look to the last.
func TestRekey(t *testing.T) {
	p, fresh := thePast(t), processtest.MasterKey
	var retired struct{ Keys []struct{ ID, Sealed string } }
	ring, err := p.redis.Do("GET", "mk:signing-keys")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(ring.(string)), &retired); err != nil {
		t.Fatal(err)
	}
	reencrypted := "Re-encrypted 2 signing keys and 1 password hash; 0 were up to date. MINTKEEP_MASTER_KEY may now be the first key alone.\n" +
		"If an old key has leaked, run this again with --compromised, which replaces the signing keys too.\n"
	already := "Nothing to re-encrypt: 2 signing keys and 1 password hash were up to date. MINTKEEP_MASTER_KEY may now be the first key alone.\n"
	closed := "mintkeep: signing key " + retired.Keys[0].ID + ": no master key opens it\n" +
		"mintkeep: signing key " + retired.Keys[1].ID + ": no master key opens it\n" +
		"mintkeep: password of usr_ada: no master key opens it\n" +
		"mintkeep: 3 records could not be re-encrypted, see above: keep every master key in the list; a user whose password hash no key decrypts needs a new invite\n"
	for _, step := range []struct {
		keys string
		args []string
		want result
	}{
		{p.MasterKey, nil, result{exitOK, "The one master key decrypts 2 signing keys and 1 password hash.\n", ""}},
		{fresh, nil, result{exitFailed, "", closed}},
		{fresh + "," + p.MasterKey, []string{"--dry-run"}, result{exitOK, "Would re-encrypt 2 signing keys and 1 password hash; 0 are up to date. Nothing was changed.\n", ""}},
		{fresh + "," + p.MasterKey, []string{"--dry-run", "--json"}, result{exitOK, `{
  "dry_run": true,
  "signing_keys": {
    "re_encrypted": 2,
    "up_to_date": 0
  },
  "passwords": {
    "re_encrypted": 1,
    "up_to_date": 0
  },
  "problems": []
}
`, ""}},
		{fresh + "," + p.MasterKey, nil, result{exitOK, reencrypted, ""}},
		{fresh + "," + p.MasterKey, nil, result{exitOK, already, ""}},
		{fresh, nil, result{exitOK, "The one master key decrypts 2 signing keys and 1 password hash.\n", ""}},
		{p.MasterKey, nil, result{exitFailed, "", closed}},
		{p.MasterKey, []string{"--compromised"}, result{exitFailed, "", closed}},
		{fresh + "," + p.MasterKey, []string{"--compromised", "--dry-run"}, result{exitOK, already + "Would replace 3 signing keys. Nothing was changed.\n", ""}},
		{fresh + "," + p.MasterKey, []string{"--compromised"}, result{exitOK, already + "Replaced 3 signing keys. Within 30 seconds every replica publishes the new ones alone.\n", ""}},
		{fresh, []string{"--compromised", "--json"}, result{exitOK, `{
  "dry_run": false,
  "signing_keys": {
    "re_encrypted": 0,
    "up_to_date": 2
  },
  "passwords": {
    "re_encrypted": 0,
    "up_to_date": 1
  },
  "signing_keys_replaced": 2,
  "problems": []
}
`, ""}},
	} {
		environ := []string{"MINTKEEP_REDIS_URL=" + p.redis.URL(), "MINTKEEP_MASTER_KEY=" + step.keys}
		got := mintkeep(t, environ, "", append([]string{"rekey", "--yes"}, step.args...)...)
		if diff := cmp.Diff(step.want, got, cmp.AllowUnexported(result{})); diff != "" {
			t.Errorf("rekey %q: (-want +got)\n%s", step.args, diff)
		}
	}
}

// What no replica has may be lost with the primary. The old key is kept until the replicas have what the new one sealed.
func TestRekeyConfirms(t *testing.T) {
	t.Parallel()
	p := thePast(t)
	replica := storetest.Replica(t, p.redis.Addr())
	p.redis.AwaitReplicas(1)
	environ := []string{"MINTKEEP_REDIS_URL=" + p.redis.URL(), "MINTKEEP_MASTER_KEY=" + processtest.MasterKey + "," + p.MasterKey, "MINTKEEP_REVOKE_DURABILITY=replicas:1"}
	rekey := func() result { return mintkeep(t, environ, "", "rekey", "--yes") }
	const why, may = "not confirmed as MINTKEEP_REVOKE_DURABILITY=replicas:1 asks", "may now be the first key alone"
	refused := func(what string, got result) {
		t.Helper()
		if got.code != exitFailed || got.stdout != "" || !strings.Contains(got.stderr, why) || !strings.Contains(got.stderr, "run it again") {
			t.Errorf("%s: got %+v, want it to fail with %q", what, got, why)
		}
	}
	replica.Freeze()
	refused("the replica is frozen", rekey())
	mintkeep(t, environ[:2], "", "rekey", "--yes") // without waiting for replicas
	refused("nothing is left to do, and the replica does not have it", rekey())
	replica.Thaw()
	var got result
	processtest.Eventually(t, processtest.Patience, func() bool {
		got = rekey()
		return got.code == exitOK
	}, func() string { return fmt.Sprintf("the replica is back: got %+v", got) })
	if !strings.Contains(got.stdout, may) {
		t.Errorf("the replica is back: got %+v, want %q", got, may)
	}
}

// A Redis without records may be the wrong one, or another database: no key may be removed because of it.
func TestRekeyNothing(t *testing.T) {
	redis := storetest.Redis(t)
	got := mintkeep(t, []string{"MINTKEEP_REDIS_URL=" + redis.URL() + "/3", "MINTKEEP_MASTER_KEY=" + processtest.MasterKey}, "", "rekey")
	if got.code != exitFailed || got.stdout != "" || !strings.Contains(got.stderr, "check that MINTKEEP_REDIS_URL is that of the server") {
		t.Errorf("got %+v", got)
	}
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	for _, on := range []bool{false, true} {
		p := progress{out: &b, on: on}
		p.users(200, 412)
		p.users(1, 1)
		p.clear()
	}
	if got, want := b.String(), "\r\x1b[K200 of 412 users\r\x1b[K1 of 1 user\r\x1b[K"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/credential"
)

const (
	liveKey = `{"id":"key_1","user":"usr_1","user_email":"ann@example.com","name":"ci","scope":"read write","masked":"mk_Ab3d…9xQz","last_four":"9xQz",` +
		`"state":"live","created_at":"2026-01-02T03:04:05Z","expires_at":null,"last_used":{"at":"2026-01-03T00:00:00Z","from":"192.0.2.7"},` +
		`"ended":null,"rotated_to":null}`
	disabledKey = `{"id":"key_3","user":"usr_1","user_email":"ann@example.com","name":"backup","description":"The nightly backup","scope":"read",` +
		`"metadata":{"team":"storage","room":"b12"},"rate_limit":"600/m","disabled":true,"masked":"mk_Ab3d…9xQz","last_four":"9xQz","state":"disabled",` +
		`"created_at":"2026-01-02T03:04:05Z","expires_at":null,"last_used":null,"disabled_at":"2026-01-04T00:00:00Z","disabled_by":"user:usr_1",` +
		`"ended":null,"rotated_to":null,"uses_by_day":[{"date":"2026-01-03","uses":3,"rejected":0},{"date":"2026-01-04","uses":1,"rejected":2}]}`
	endedKey = `{"id":"key_2","user":"usr_1","name":"\u001b[2J","scope":"","masked":"mk_0000…zzzz","state":"ended",` +
		`"created_at":"2026-01-01T00:00:00Z","expires_at":"2026-04-01T00:00:00Z","last_used":null,` +
		`"ended":{"at":"2026-01-02T00:00:00Z","by":"usr_1","reason":"lost"},"rotated_to":"key_1"}`
)

// What each command asks of the server.
func TestKeyRequests(t *testing.T) {
	tests := []struct {
		args string
		want []string
	}{
		{
			"create --user=usr_1 --name=ci --expires=never",
			[]string{`GET /admin/users/usr_1`, `POST /admin/users/usr_1/keys application/json {"expires_at":null,"name":"ci","scope":"read"}`},
		},
		{
			"create --user=ann@example.com --name=ci --scope=read --expires=2027-01-31",
			[]string{
				`GET /admin/users?q=ann%40example.com`, `GET /admin/users?cursor=c1&q=ann%40example.com`,
				`POST /admin/users/usr_1/keys application/json {"expires_at":"2027-01-31T00:00:00Z","name":"ci","scope":"read"}`,
			},
		},
		{
			"create --user=usr_1 --name=ci --scope= --expires=2027-01-31T18:00:00+01:00",
			[]string{`POST /admin/users/usr_1/keys application/json {"expires_at":"2027-01-31T17:00:00Z","name":"ci","scope":""}`},
		},
		{"list", []string{`GET /admin/keys`}},
		{
			"list --user=usr_1 -q key_ --state=active --limit=5 --cursor=c1",
			[]string{`GET /admin/keys?cursor=c1&limit=5&q=key_&state=active&user=usr_1`},
		},
		{
			"list --user=ann@example.com",
			[]string{`GET /admin/keys?user=ann%40example.com`},
		},
		{"list --state=inactive", []string{`GET /admin/keys?state=ended`}},
		{"list --state=live --wide", []string{`GET /admin/keys?state=live`}},
		{"list --state=leaked --unused=90d", []string{`GET /admin/keys?state=leaked&unused=90d`}},
		{"list --sort=uses --limit=10", []string{`GET /admin/keys?limit=10&sort=uses`}},
		{
			"create --user=usr_1 --name=ci --scope=read --expires=never --description=nightly --metadata=team=storage --metadata=a=b;c=d --rate-limit=600/m --disable",
			[]string{`POST /admin/users/usr_1/keys application/json {"description":"nightly","disabled":true,"expires_at":null,` +
				`"metadata":{"a":"b;c=d","team":"storage"},"name":"ci","rate_limit":"600/m","scope":"read"}`},
		},
		{
			"update key_1 --name=ci --scope=read --expires=2027-01-31 --description= --metadata=team=storage --remove-metadata=old --rate-limit=5/s --disable",
			[]string{`PATCH /admin/keys/key_1 application/merge-patch+json {"description":"","disabled":true,"expires_at":"2027-01-31T00:00:00Z",` +
				`"metadata":{"old":null,"team":"storage"},"name":"ci","rate_limit":"5/s","scope":"read"}`},
		},
		{
			"update key_1 --enable --clear=description,metadata,rate-limit",
			[]string{`PATCH /admin/keys/key_1 application/merge-patch+json {"description":null,"disabled":false,"metadata":null,"rate_limit":null}`},
		},
		{"update key_1 --expires=never", []string{`PATCH /admin/keys/key_1 application/merge-patch+json {"expires_at":null}`}},
		{"revoke key_1 key_2 --reason=lost", []string{`POST /admin/keys/revoke application/json {"ids":["key_1","key_2"],"reason":"lost"}`}},
		{"rotate key_1", []string{`POST /admin/keys/key_1/rotate application/json {}`}},
		{"rotate key_1 --overlap=1h", []string{`POST /admin/keys/key_1/rotate application/json {"overlap":"1h0m0s"}`}},
		{"show key_1", []string{`GET /admin/keys/key_1`}},
		{"show a/b?c", []string{`GET /admin/keys/a%2Fb%3Fc`}},
		{"revoke key_1", []string{`DELETE /admin/keys/key_1`}},
		{"revoke key_1 --reason=found&lost", []string{`DELETE /admin/keys/key_1?reason=found%26lost`}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			server := newAdmin(t, people)
			got := mintkeep(t, server.environ(), "", append([]string{"key"}, strings.Fields(tt.args)...)...)
			if got.code != exitOK {
				t.Errorf("got %+v", got)
			}
			if d := cmp.Diff(tt.want, server.asked); d != "" {
				t.Errorf("requests (-want +got):\n%s", d)
			}
		})
	}
}

func TestKeyOutput(t *testing.T) {
	made := `{"id":"key_1","key":"mk_once","name":"ci","scope":"read","created_at":"2026-01-02T03:04:05Z","expires_at":"2026-04-02T03:04:05Z"}`
	rotated := `{"id":"key_2","key":"mk_once","name":"ci","scope":"read","created_at":"2026-01-02T03:04:05Z","expires_at":null,` +
		`"previous":{"id":"key_1","expires_at":"2026-01-03T03:04:05Z"}}`
	tests := []struct {
		args   string
		answer string
		want   result
	}{
		{args: "create --user=usr_1 --name=ci", answer: made, want: result{stdout: `key id   key_1
key      mk_once
name     ci
scope    read
created  2026-01-02T03:04:05Z
expires  2026-04-02T03:04:05Z
`, stderr: "Store the key now: it is not shown again.\n"}},
		{args: "create --user=usr_1 --name=ci --json", answer: `{"key":"mk_once"}`, want: result{stdout: "{\n  \"key\": \"mk_once\"\n}\n"}},
		{args: "show key_1", answer: liveKey, want: result{stdout: `key id     key_1
key        mk_Ab3d…9xQz
owner      ann@example.com
user id    usr_1
name       ci
scope      read write
state      active
created    2026-01-02T03:04:05Z
last used  2026-01-03T00:00:00Z from 192.0.2.7
expires    never
`}},
		{args: "show key_2", answer: endedKey, want: result{stdout: `key id      key_2
key         mk_0000…zzzz
user id     usr_1
name        \x1b[2J
state       revoked
created     2026-01-01T00:00:00Z
expires     2026-04-01T00:00:00Z
revoked     2026-01-02T00:00:00Z by usr_1: lost
rotated to  key_1 (\x1b[2J)
`}},
		{args: "show key_3", answer: disabledKey, want: result{stdout: `key id       key_3
key          mk_Ab3d…9xQz
owner        ann@example.com
user id      usr_1
name         backup
description  The nightly backup
scope        read
rate limit   600/m
metadata     room=b12, team=storage
state        disabled
disabled     2026-01-04T00:00:00Z by ann@example.com
created      2026-01-02T03:04:05Z
uses         4 accepted, 2 rejected in 2 days
expires      never
`}},
		{
			args: "list --sort=uses", answer: `{"items":[` + strings.TrimSuffix(disabledKey, "}") + `,"uses_7d":{"uses":4,"rejected":2}}]}`,
			want: result{stdout: `KEY ID  OWNER            NAME    STATE     USES 7D  REJECTED 7D
key_3   ann@example.com  backup  disabled  4        2
`},
		},
		{
			args: "revoke key_1 key_2", answer: `{"revoked":1,"keys":[{"id":"key_1","state":"expiring"},{"id":"key_2","state":"rotated"}]}`,
			want: result{stdout: "Revoked key key_1\nKey key_2 could not be used any more: its state was rotated\nRevoked 1 of 2 keys\n"},
		},
		{args: "list", answer: `{"items":[` + liveKey + `,` + endedKey + `],"next_cursor":"c2"}`, want: result{
			stdout: `KEY ID  OWNER            NAME     KEY           SCOPE       STATE    LAST USED             EXPIRES
key_1   ann@example.com  ci       mk_Ab3d…9xQz  read write  active   2026-01-03T00:00:00Z  never
key_2   usr_1            \x1b[2J  mk_0000…zzzz  -           revoked  -                     2026-04-01T00:00:00Z
`,
			stderr: "There are more: use --all, or --cursor=c2\n",
		}},
		{args: "list --wide", answer: `{"items":[` + liveKey + `]}`, want: result{
			stdout: `KEY ID  USER ID  OWNER            NAME  KEY           SCOPE       STATE   LAST USED             EXPIRES
key_1   usr_1    ann@example.com  ci    mk_Ab3d…9xQz  read write  active  2026-01-03T00:00:00Z  never
`,
		}},
		{args: "rotate key_1", answer: rotated, want: result{stdout: `key id        key_2
key           mk_once
name          ci
scope         read
created       2026-01-02T03:04:05Z
expires       never
previous key  key_1, expires 2026-01-03T03:04:05Z
`, stderr: "Store the key now: it is not shown again.\n"}},
		{args: "revoke key_1", want: result{stdout: "Revoked key key_1\n"}},
		{args: "revoke key_1 --json"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			server := newAdmin(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete {
					w.WriteHeader(http.StatusNoContent)
				}
				_, _ = io.WriteString(w, tt.answer)
			})
			got := mintkeep(t, server.environ(), "", append([]string{"key"}, strings.Fields(tt.args)...)...)
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(result{})); d != "" {
				t.Errorf("result (-want +got):\n%s", d)
			}
		})
	}
}

// What the API calls ended has expired or was revoked.
func TestKeyState(t *testing.T) {
	for want, k := range map[string]adminapi.Key{
		"active":  {State: "live"},
		"revoked": {State: "ended", Revocation: &adminapi.KeyRevocation{By: "admin-token", Reason: "expired"}},
		"expired": {State: "ended", Revocation: &adminapi.KeyRevocation{Reason: "expired"}},
		"paused":  {State: "paused"}, // of a later server
	} {
		if got := keyState(k); got != want {
			t.Errorf("%+v: got %q, want %q", k, got, want)
		}
	}
}

// The circumstances of a revocation may be known in part.
func TestKeyRevocationIsShown(t *testing.T) {
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	for want, r := range map[string]adminapi.KeyRevocation{
		"":                                    {},
		"2026-01-02T00:00:00Z":                {At: &at},
		"by usr_1":                            {By: "usr_1"},
		"not recorded":                        {Reason: "not recorded"},
		"2026-01-02T00:00:00Z by usr_1: lost": {At: &at, By: "usr_1", Reason: "lost"},
		"2026-01-02T00:00:00Z: expired":       {At: &at, Reason: "expired"},
		"by usr_1: leaked, again":             {By: "usr_1", Reason: "leaked, again"},
	} {
		if got := keyRevocation(&r, ""); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A key that is created without --scope has the least scope that the server offers.
func TestKeyHasTheLeastScope(t *testing.T) {
	for offered, want := range map[string]string{
		"write read mintkeep:keys": "read", "api:use api:export mintkeep:keys": "api:use", "": "read", // of an earlier server
	} {
		server := newAdmin(t, says(http.StatusOK, `{"id":"usr_1","key_scopes":"`+offered+`"}`))
		if got := mintkeep(t, server.environ(), "", "key", "create", "--user=usr_1", "--name=ci"); got.code != exitOK {
			t.Fatalf("got %+v", got)
		}
		if len(server.asked) != 2 || !strings.Contains(server.asked[1], `"scope":"`+want+`"`) {
			t.Errorf("offered %q: the requests are %q", offered, server.asked)
		}
	}
}

// The user who revoked a key, and its successor, are shown by name.
func TestKeyShowNames(t *testing.T) {
	server := newAdmin(t, func(w http.ResponseWriter, r *http.Request) {
		answer := map[string]string{
			"/admin/keys/key_2":  strings.Replace(endedKey, `"by":"usr_1"`, `"by":"user:usr_9"`, 1),
			"/admin/keys/key_1":  liveKey,
			"/admin/users/usr_9": `{"id":"usr_9","email":"op@example.com","name":"Op"}`,
		}[r.URL.Path]
		_, _ = io.WriteString(w, answer)
	})
	got := mintkeep(t, server.environ(), "", "key", "show", "key_2")
	for _, want := range []string{"by op@example.com: lost\n", "rotated to  key_1 (ci)\n"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("%q is missing in %+v", want, got)
		}
	}
	server.asked = nil
	mintkeep(t, server.environ(), "", "key", "show", "key_2", "--json")
	if len(server.asked) != 1 {
		t.Errorf("--json asks %q", server.asked)
	}
}

// A key that is created without --expires expires in 90 days.
func TestKeyExpiresByDefault(t *testing.T) {
	server := newAdmin(t, says(http.StatusCreated, `{}`))
	before := time.Now().Add(90 * day).Truncate(time.Second)
	mintkeep(t, server.environ(), "", "key", "create", "--user=usr_1", "--name=ci")
	after := time.Now().Add(90 * day)
	_, rest, _ := strings.Cut(server.asked[1], `"expires_at":"`)
	text, _, _ := strings.Cut(rest, `"`)
	if at, err := time.Parse(time.RFC3339, text); err != nil || at.Before(before) || at.After(after) {
		t.Errorf("got %s: not between %s and %s", server.asked[0], before, after)
	}
}

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 12, 31, 23, 0, 0, 999, time.FixedZone("", 3600))
	for text, want := range map[string]any{
		"never":                     nil,
		"1d":                        "2027-01-01T22:00:00Z",
		"90d":                       "2027-03-31T22:00:00Z",
		"36525d":                    "2127-01-01T22:00:00Z",                            // 2100 has no 29 February
		"999999999d":                now.Add(maxDays * day).UTC().Format(time.RFC3339), // for the server to reject
		"720h":                      "2027-01-30T22:00:00Z",
		"1h30m":                     "2026-12-31T23:30:00Z",
		"2027-01-31":                "2027-01-31T00:00:00Z",
		"2020-01-31":                "2020-01-31T00:00:00Z", // likewise
		"2027-01-31T18:00:00Z":      "2027-01-31T18:00:00Z",
		"2027-01-31T18:00:00.5Z":    "2027-01-31T18:00:00Z",
		"2027-01-31T18:00:00-02:00": "2027-01-31T20:00:00Z",
	} {
		var e expiry
		if err := e.UnmarshalText([]byte(text)); err != nil || e.from(now) != want {
			t.Errorf("%s: got %v, %v; want %v", text, e.from(now), err, want)
		}
	}
	for _, text := range []string{
		"", "0d", "-1d", "0s", "-1h", "1ms", "90", "d", "1.5d", "1w", "Never", "2027-02-30", "2027-1-1", "31.01.2027", "tomorrow",
	} {
		var e expiry
		if err := e.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%s: got %v, want an error", text, e.from(now))
		}
	}
}

// A wrong command line is reported in two lines, before any server is asked. A key
// in the place of an id is reported, and not repeated.
func TestKeyUsage(t *testing.T) {
	const itself = "this is a key and not its id: key list shows the ids, and key report revokes what has leaked"
	key := credential.NewKey("mk")
	tests := []struct{ args, want, help string }{
		{"create --name=ci", "key create: --user must be a user's id or email address", "key create"},
		{"create --user=usr_1", "missing flags: --name=NAME", "key create"},
		{"create --user= --name=ci", "key create: --user must be a user's id or email address", "key create"},
		{"create --user=usr_1 --name=ci --expires=-1d", "--expires: must be in the future", "key create"},
		{"create --user=usr_1 --name=ci --expires=1w", "--expires: must be like 90d, 720h, 2027-01-31, 2027-01-31T18:00:00Z or never", "key create"},
		{"show", "key show: the key's id is missing", "key show"},
		{"update key_1", "key update: nothing to change: give a flag, such as --name or --disable", "key update"},
		{"update key_1 --disable --enable", "--disable and --enable can't be used together", "key update"},
		{"update key_1 --clear=name", "key update: --clear takes description, metadata, rate-limit, and none that is given as well", "key update"},
		{"update key_1 --metadata=a=b --clear=metadata", "key update: --clear takes description, metadata, rate-limit, and none that is given as well", "key update"},
		{"update key_1 --metadata=a=b --remove-metadata=a", "key update: --remove-metadata takes names that --metadata does not set", "key update"},
		{"update " + key + " --disable", "key update: " + itself, "key update"},
		{"revoke key_1 " + key, "key revoke: " + itself, "key revoke"},
		{"revoke " + strings.Repeat("key_1 ", 101), "key revoke: at most 100 keys can be revoked at once", "key revoke"},
		{"list --sort=uses --state=live", "key list: --sort shows the busiest keys of all, and can only be used with --limit and --wide", "key list"},
		{"show " + key, "key show: " + itself, "key show"},
		{"revoke " + key, "key revoke: " + itself, "key revoke"},
		{"list --limit=-1", "key list: --limit must be at least 1", "key list"},
		{"rules --format=yaml", `--format must be one of "regex","gitleaks","trufflehog" but got "yaml"`, "key rules"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got := mintkeep(t, nil, "", append([]string{"key"}, strings.Fields(tt.args)...)...)
			want := result{code: exitUsage, stderr: fmt.Sprintf("mintkeep: %s\nRun \"mintkeep %s --help\" for usage.\n", tt.want, tt.help)}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

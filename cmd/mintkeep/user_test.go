package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const ann = `{"id":"usr_1","email":"ann@example.com","name":"Ann","role":"developer","disabled":false,` +
	`"created_at":"2026-01-02T03:04:05Z","password_set":false}`

// people is the admin route with two users, of whom one has an address that
// begins like the other's, on a page each.
func people(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet && r.URL.Path == "/admin/users" && r.URL.Query().Get("cursor") == "":
		_, _ = io.WriteString(w, `{"items":[{"id":"usr_2","email":"ann@example.com.au"}],"next_cursor":"c1"}`)
	case r.Method == http.MethodGet && r.URL.Path == "/admin/users":
		_, _ = io.WriteString(w, `{"items":[`+ann+`]}`)
	default:
		_, _ = io.WriteString(w, ann)
	}
}

// What each command asks of the server.
func TestUserRequests(t *testing.T) {
	const first, second = `GET /admin/users?q=Ann%40Example.com`, `GET /admin/users?cursor=c1&q=Ann%40Example.com`
	tests := []struct {
		args string
		want []string
	}{
		{"create --email=ann@example.com", []string{`POST /admin/users application/json {"email":"ann@example.com"}`}},
		{
			"create --email=ann@example.com --name=Ann --role=operator",
			[]string{`POST /admin/users application/json {"email":"ann@example.com","name":"Ann","role":"operator"}`},
		},
		{"list", []string{`GET /admin/users`}},
		{"list -q an --limit=5 --cursor=c1", []string{`GET /admin/users?cursor=c1&limit=5&q=an`}},
		{"show usr_1", []string{`GET /admin/users/usr_1`}},
		{"show a/b?c", []string{`GET /admin/users/a%2Fb%3Fc`}},
		{"show Ann@Example.com", []string{first, second, `GET /admin/users/usr_1`}},
		{"update usr_1 --name=", []string{`PATCH /admin/users/usr_1 application/merge-patch+json {"name":""}`}},
		{
			"update usr_1 --email=b@example.com --name=B --role=operator",
			[]string{`PATCH /admin/users/usr_1 application/merge-patch+json {"email":"b@example.com","name":"B","role":"operator"}`},
		},
		{"disable usr_1", []string{`PATCH /admin/users/usr_1 application/merge-patch+json {"disabled":true}`}},
		{"enable Ann@Example.com", []string{first, second, `PATCH /admin/users/usr_1 application/merge-patch+json {"disabled":false}`}},
		{"delete usr_1", []string{`DELETE /admin/users/usr_1`}},
		{"delete Ann@Example.com", []string{first, second, `DELETE /admin/users/usr_1`}},
		{"invite usr_1", []string{`POST /admin/users/usr_1/invite`}},
		{"invite usr_1 --keep-password", []string{`POST /admin/users/usr_1/invite application/json {"keep_password":true}`}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			server := newAdmin(t, people)
			got := mintkeep(t, server.environ(), "", append([]string{"user"}, strings.Fields(tt.args)...)...)
			if got.code != exitOK {
				t.Errorf("got %+v", got)
			}
			if d := cmp.Diff(tt.want, server.asked); d != "" {
				t.Errorf("requests (-want +got):\n%s", d)
			}
		})
	}
}

func TestUserOutput(t *testing.T) {
	const note = "Send the link to the user: it sets the password, is valid for 72 h, and is not shown again.\n"
	invited := `{"invite_url":"https://auth.example.com/invite/c0de","invite_expires_at":"2026-01-05T03:04:05Z"}`
	created := strings.TrimSuffix(ann, "}") + "," + strings.TrimPrefix(invited, "{")
	tests := []struct {
		args   string
		answer string
		want   result
	}{
		{args: "create --email=ann@example.com --name=Ann", answer: created, want: result{stdout: `user id       usr_1
email         ann@example.com
name          Ann
role          developer
state         enabled
password      not set
created       2026-01-02T03:04:05Z
invite link   https://auth.example.com/invite/c0de
link expires  2026-01-05T03:04:05Z
`, stderr: note}},
		{args: "create --email=ann@example.com --json", answer: `{"id":"usr_1","invite_url":"u"}`, want: result{
			stdout: "{\n  \"id\": \"usr_1\",\n  \"invite_url\": \"u\"\n}\n",
		}},
		{args: "invite usr_1", answer: invited, want: result{stdout: `invite link   https://auth.example.com/invite/c0de
link expires  2026-01-05T03:04:05Z
`, stderr: note}},
		{args: "show usr_1", answer: `{"id":"usr_1","disabled":true,"password_set":true}`, want: result{
			stdout: "user id   usr_1\nstate     disabled\npassword  set\n",
		}},
		{args: "list", answer: `{"items":[` + ann + `,{"id":"usr_2","name":"\u001b[2J","disabled":true,"password_set":true}],"next_cursor":"c2"}`, want: result{
			stdout: `EMAIL            NAME     ROLE       STATE     PASSWORD  CREATED
ann@example.com  Ann      developer  enabled   not set   2026-01-02T03:04:05Z
-                \x1b[2J  -          disabled  set       -
`,
			stderr: "There are more: use --all, or --cursor=c2\n",
		}},
		{args: "list --wide", answer: `{"items":[` + ann + `]}`, want: result{
			stdout: `USER ID  EMAIL            NAME  ROLE       STATE    PASSWORD  CREATED
usr_1    ann@example.com  Ann   developer  enabled  not set   2026-01-02T03:04:05Z
`,
		}},
		{args: "list", answer: `{"items":[1]}`, want: result{
			code:   exitFailed,
			stderr: "mintkeep: the answer is not what Mintkeep sends: json: cannot unmarshal number into Go value of type main.userView\n",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			server := newAdmin(t, says(http.StatusOK, tt.answer))
			got := mintkeep(t, server.environ(), "", append([]string{"user"}, strings.Fields(tt.args)...)...)
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(result{})); d != "" {
				t.Errorf("result (-want +got):\n%s", d)
			}
		})
	}
}

func TestUserDelete(t *testing.T) {
	server := newAdmin(t, people)
	got := mintkeep(t, server.environ(), "", "user", "delete", "ann@example.com")
	want := result{stdout: "Deleted user ann@example.com and revoked their API keys\n"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := mintkeep(t, server.environ(), "", "user", "delete", "usr_1", "--json"); got != (result{}) {
		t.Errorf("with --json: got %+v, want nothing", got)
	}
}

// A user whose address only begins so is not deleted.
func TestUserByEmailIsExact(t *testing.T) {
	server := newAdmin(t, people)
	got := mintkeep(t, server.environ(), "", "user", "delete", "ann@example.co")
	want := result{code: exitFailed, stderr: "mintkeep: no user has the email address ann@example.co\n"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, line := range server.asked {
		if !strings.HasPrefix(line, http.MethodGet) {
			t.Errorf("asked %s", line)
		}
	}
}

func TestUserListFollowsCursors(t *testing.T) {
	server := newAdmin(t, people)
	got := mintkeep(t, server.environ(), "", "user", "list", "--all")
	want := result{stdout: `EMAIL               NAME  ROLE       STATE    PASSWORD  CREATED
ann@example.com.au  -     -          enabled  -         -
ann@example.com     Ann   developer  enabled  not set   2026-01-02T03:04:05Z
`}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(result{})); d != "" {
		t.Errorf("result (-want +got):\n%s", d)
	}
}

// A wrong command line is reported in two lines, before any server is asked.
func TestUserUsage(t *testing.T) {
	tests := []struct{ args, want, help string }{
		{"create", "missing flags: --email=EMAIL", "user create"},
		{"show", "user show: the user's id or email address is missing", "user show"},
		{"update usr_1", "user update: nothing to change: give --email, --name or --role", "user update"},
		{"list --limit=-1", "user list: --limit must be at least 1", "user list"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got := mintkeep(t, nil, "", append([]string{"user"}, strings.Fields(tt.args)...)...)
			want := result{code: exitUsage, stderr: fmt.Sprintf("mintkeep: %s\nRun \"mintkeep %s --help\" for usage.\n", tt.want, tt.help)}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

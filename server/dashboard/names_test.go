package dashboard_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// payloads are names as an attacker would choose them. Each has the word pwned in it.
var payloads = []string{
	`<script>pwned()</script>`, `"><img src=x onerror=pwned()>`, `' onmouseover='pwned()`, `javascript:pwned()`, `{{7*7}}pwned${7*7}`,
	`</title><svg onload=pwned()>`, `</textarea><style>*{pwned}</style>`, "`-pwned()-`", `=HYPERLINK("https://pwned")`, `&lt;pwned&gt;&quot;`,
	`]]><!--pwned--><![CDATA[`, `\u003cpwned\u003e`, `%3Cpwned%3E`, "\u202epwned", "pwned🙂👩‍👩‍👧", `<a href=//pwned>`, `+pwned`, `" autofocus onfocus=pwned() x="`,
}

// TestNamesAreText: a name is text on every page, whatever is in it. What a page
// may consist of is looked at by [page.prove].
func TestNamesAreText(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	for i, payload := range payloads {
		email := string(rune('a'+i)) + "@example.com"
		u := s.User(t, servertest.M{"email": email, "role": "operator"})
		link := s.Invite(t, u)
		agent := servertest.Header("User-Agent", payload)
		v := visit(t, s)
		path := link[strings.Index(link, "/invite/"):]
		form := v.get(path).form(path)
		form.Set("password", secret)
		form.Set("again", secret)
		v.post(path, form, agent).wantTo("/settings")
		v.submit(v.get("/settings/profile"), "/settings/profile", "name", payload)

		wrong := v.submit(v.get("/settings/keys/new"), "/settings/keys", "name", payload, "expiry", "1").want(http.StatusBadRequest)
		if strings.TrimSpace(payload) == payload && wrong.value("name") != payload && !strings.Contains(payload, "\u202e") {
			t.Errorf("%q comes back as %q", payload, wrong.value("name"))
		}
		made := v.submit(v.get("/settings/keys/new"), "/settings/keys", "name", payload)
		if made.Status == http.StatusBadRequest { // it is no name, then
			made.wrongAt("name", "Name must be printable text in UTF-8.")
			continue
		}
		s.Secret(made.want(http.StatusOK).says(payload).value("secret"))
		id := ""
		for _, a := range v.get("/settings").says(payload).all("a") {
			if text(a) == payload {
				id = attribute(a, "href")[len("/settings/keys/"):]
			}
		}
		key := "/settings/keys/" + id
		v.get(key).says(payload)
		v.get("/operator/keys").says(payload)
		v.get("/operator/keys/" + id).says(payload)
		v.get("/settings?q=" + url.QueryEscape(payload)).says(payload)
		v.submit(v.get(key+"/edit"), key+"/edit", "name", payload+" ").want(http.StatusSeeOther)
		v.submit(v.get(key+"/revoke").says(payload), key+"/revoke", "reason", payload).wantTo("/settings?done=revoked")
		v.get(key).says("Revoked: " + payload)
		v.get("/operator/audit").want(http.StatusOK)
		v.get("/operator/users").want(http.StatusOK)
		v.get("/operator/users/" + u.ID).want(http.StatusOK)
		if profile := v.get("/settings/profile").says("This browser"); !strings.Contains(payload, "\u202e") {
			profile.says(payload)
		}

		name := s.Admin(t, http.MethodPost, "/admin/clients", servertest.M{"client_id": email[:1], "client_name": payload})
		if name.Status == http.StatusCreated {
			s.Secret(name.JSON(t)["client_secret"].(string))
			v.get("/operator/clients").says(payload)
			v.get("/operator/clients/" + email[:1]).says(payload)
		}
		for _, path := range []string{
			"/login?next=" + url.QueryEscape(payload), "/login?done=" + url.QueryEscape(payload), "/settings?state=" + url.QueryEscape(payload),
			"/operator/audit?actor=" + url.QueryEscape(payload), "/operator/clients?q=" + url.QueryEscape(payload), "/operator?range=" + url.QueryEscape(payload),
			"/operator/users?q=" + url.QueryEscape(payload), "/operator/keys?user=" + url.QueryEscape(payload), "/settings/keys/" + url.PathEscape(payload),
			"/operator/clients/" + url.PathEscape(payload), "/operator/users/" + url.PathEscape(payload),
		} {
			v.get(path, servertest.Header("Referer", "https://example.com/"+url.PathEscape(payload)), servertest.Header("Accept-Language", payload))
		}
		visit(t, s).signIn(payload, payload).want(http.StatusUnauthorized)
		file := v.get("/operator/audit.jsonl")
		if file.Header.Get("Content-Type") != "application/jsonl" || !strings.HasPrefix(file.Header.Get("Content-Disposition"), "attachment") || strings.Contains(file.Body, "<") {
			t.Errorf("the file is %v", file.Header)
		}
	}
}

// TestNames is which names a key may have.
func TestNames(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := newcomer(t, s, "ada@example.com")
	form := v.get("/settings/keys/new").form("/settings/keys")
	_, key := v.makeKey("one")
	for what, name := range map[string]string{
		"empty": "", "spaces": "   ", "101 characters": strings.Repeat("é", 101), "10,000": strings.Repeat("x", 10_000),
		"two lines": "a\nb", "NUL": "a\x00b", "escape": "a\x1bb",
	} {
		form.Set("name", name)
		form["scope"] = []string{"read", "write"}
		form.Set("expiry", "365")
		p := v.post("/settings/keys", form).want(http.StatusBadRequest).says("Name ")
		if again := p.form("/settings/keys"); again.Get("expiry") != "365" || len(again["scope"]) != 2 {
			t.Errorf("%s: what was chosen is lost: %v", what, again)
		}
		v.submit(v.get(key+"/edit"), key+"/edit", "name", name).want(http.StatusBadRequest).says("Name ")
		if what != "empty" && what != "spaces" {
			v.submit(v.get("/settings/profile"), "/settings/profile", "name", name).want(http.StatusBadRequest)
		}
	}
	form.Set("name", strings.Repeat("x", 70<<10))
	v.post("/settings/keys", form).want(http.StatusRequestEntityTooLarge)
	form.Set("name", "\xff")
	v.post("/settings/keys", form).want(http.StatusBadRequest)
	for _, name := range []string{strings.Repeat("🙂", 100), "مفتاح النشر", "  trimmed  "} {
		v.submit(v.get("/settings/keys/new"), "/settings/keys", "name", name).want(http.StatusOK).says(strings.TrimSpace(name))
	}
	form.Set("name", "two")
	for _, wrong := range [][2]string{{"expiry", ""}, {"expiry", "31"}, {"scope", ""}, {"scope", "mintkeep:admin"}, {"scope", "other"}} {
		bad := url.Values{}
		for name := range form {
			bad.Set(name, form.Get(name))
		}
		bad.Set(wrong[0], wrong[1])
		if p := v.post("/settings/keys", bad).want(http.StatusBadRequest); !strings.Contains(p.Body, `role="alert"`) {
			t.Errorf("%q is refused without a word", wrong)
		}
	}
}

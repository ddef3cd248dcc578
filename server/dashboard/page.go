package dashboard

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

//go:embed templates
var templateFiles embed.FS

// parseTemplates returns all templates as one set, in which a page has the name of its file: each page begins with "top" and
// ends with "bottom". A set for each page would copy what the pages share, and each garbage collection
// would have to scan the copies.
func parseTemplates(s static, now func() time.Time) (*template.Template, error) {
	functions := template.FuncMap{
		"static": s.url, "day": day, "moment": moment, "minute": minute, "exact": exact, "machine": machine, "lasting": lasting, "words": strings.Fields, "through": through,
		"number": number, "plural": plural, "counted": counted, "statuses": func() []keyStatus { return keyStatuses }, "pieces": pieces,
		"since": func(t time.Time) string { return ago(now(), t) },
	}
	return template.New("").Funcs(functions).ParseFS(templateFiles, "templates/shared/*.html", "templates/*.html")
}

// page is what "top" needs of every page.
type page struct {
	Title   string
	Section string      // which entry of the navigation is the present one
	User    *store.User // nil: none is signed in
	Form    string      // the token that a form on the page must carry
	Notice  string      // what was just done
	Content any
	Place   place // set by show
}

// Operator says whether the user sees the operator's pages.
func (p page) Operator() bool { return p.User != nil && p.User.Role() == store.Operator }

// policy allows what the pages need, and nothing inline, framed or foreign (CSP Level 3).
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// show renders a page whole before the first byte of it is sent.
func (d *Dashboard) show(w http.ResponseWriter, status int, name string, p page) error {
	p.Place = d.place
	var body bytes.Buffer
	if err := d.templates.ExecuteTemplate(&body, name+".html", p); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
	return nil
}

// failure is a page that says what went wrong.
type failure struct {
	Status  int
	Words   string
	Request string
}

// Refuse shows an error as a page.
func (d *Dashboard) Refuse(w http.ResponseWriter, r *http.Request, e *web.Error) {
	id := web.RequestID(r.Context())
	words := e.Words(id)
	if e.RetryAfter > 0 {
		seconds := int64(e.RetryAfter.Round(time.Second) / time.Second)
		words = fmt.Sprintf("%s. Retry in %d %s", words, seconds, plural(seconds, "second"))
	}
	p := page{Title: http.StatusText(e.Status)}
	if in, signedIn := r.Context().Value(sessionKey{}).(*session); signedIn { // who keeps the navigation
		p = in.page(r, p.Title, in.section(r), nil)
		p.Notice = ""
	}
	p.Content = failure{e.Status, strings.TrimSuffix(words, ".") + ".", id}
	if err := d.show(w, e.Status, "failure", p); err != nil {
		http.Error(w, http.StatusText(e.Status), e.Status)
	}
}

// seeOther answers a POST: the browser goes on to the page, and a reload does nothing again. done names one of
// the notices.
func seeOther(w http.ResponseWriter, location, done string) error {
	if done != "" {
		location += "?done=" + done
	}
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// notices are what a page may be asked to say was done; nothing else can be put there. %s is the title of the page, which is
// the name of what it is about; %t is when it was done.
var notices = map[string]string{
	"revoked":         "The key is revoked. It stopped working %t.",
	"key-saved":       "The key is saved.",
	"key-narrowed":    "The key is saved. What it lost stopped working %t.",
	"key-disabled":    "The key is disabled. It stopped working %t.",
	"key-enabled":     "The key is enabled. It works again.",
	"saved":           "The profile is saved.",
	"password":        "The password is changed. Every other session has been signed out.",
	"session":         "The session is signed out.",
	"signed-out":      "You are signed out.",
	"everywhere":      "You are signed out everywhere.",
	"password-set":    "The password is set. Sign in with it.",
	"revoked-several": "The keys are revoked. They stopped working %t.",
	"none-selected":   "No key is selected. Select the keys to revoke.",
	"none-active":     "No active key is left to revoke.",
	"inactive":        "The key was revoked or had expired before. Nothing is changed.",

	"user-disabled": "The user %s is disabled.",
	"user-enabled":  "The user %s is enabled.",
	"role-changed":  "The role of %s is changed.",
	"user-deleted":  "The user is deleted. Their API keys are revoked.",

	"client-registered": "The client is registered.",
	"client-saved":      "The client is saved.",
	"client-disabled":   "The client %s is disabled. Its tokens are revoked.",
	"client-enabled":    "The client %s is enabled.",
	"client-deleted":    "The client is deleted. Its secrets and its tokens are revoked.",
	"tokens-revoked":    "Every token that was issued to the client until now is revoked.",
	"secret-revoked":    "The secret is revoked.",
	"key-removed":       "The key is removed. It stopped working at once.",
	"keys-saved":        "The keys are saved.",
	"keys-refreshed":    "Every replica fetches the key set again before the next request that needs it.",
	"keys-rotated":      "The next signing key signs from now on.",
}

// stopped names a notice that says when something stopped: now.
func (d *Dashboard) stopped(done string) string {
	return done + "&at=" + strconv.FormatInt(d.now().Unix(), 10)
}

func notice(r *http.Request, title string) string {
	query, err := web.ReadQuery(r)
	if err != nil {
		return ""
	}
	done, _ := query.Text("done")
	when := "at once"
	if text, _ := query.Text("at"); text != "" {
		if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
			when = "at " + exact(time.Unix(seconds, 0))
		}
	}
	return strings.NewReplacer("%s", title, "%t", when).Replace(notices[done])
}

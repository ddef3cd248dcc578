package dashboard

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/server/web"
)

// formTokens make and check the token of a form: a MAC of the cookie of the browser that was given the form, so that no
// other site can have made it. The first key makes, all check.
type formTokens struct{ vault *seal.Vault }

func (f formTokens) keys() [][]byte { return f.vault.Derive("mintkeep form 1") }

func mac(key []byte, cookie string) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(cookie))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func (f formTokens) of(cookie string) string { return mac(f.keys()[0], cookie) }

func (f formTokens) fits(token, cookie string) bool {
	return cookie != "" && slices.ContainsFunc(f.keys(), func(key []byte) bool { return hmac.Equal([]byte(token), []byte(mac(key, cookie))) })
}

const formField = "form_token"

// form reads a form that one of our pages gave to this browser. Another site's, or another browser's, is rejected
// (RFC 9700 §4.7).
func (d *Dashboard) form(r *http.Request, cookie string, repeatable ...string) (url.Values, error) {
	form, err := web.Form(r, repeatable...)
	if err != nil {
		return nil, err
	}
	if d.origins.Check(r) != nil || !d.forms.fits(form.Get(formField), cookie) {
		return nil, &web.Error{
			Status: http.StatusForbidden, Code: "access_denied",
			Description: "The form does not belong to this session. Go back, reload the page and submit the form again",
		}
	}
	return form, nil
}

// The cookies. Over https the browser itself ensures that they are ours alone (RFC 6265bis §4.1.3.2).
const (
	sessionCookie = "session"
	visitCookie   = "visit" // of a browser in which no user is signed in yet
)

func (d *Dashboard) cookieName(name string) string {
	if name = d.place.cookie + name; d.place.secure() {
		return "__Host-" + name
	}
	return name
}

func (d *Dashboard) cookie(r *http.Request, name string) string {
	found := r.CookiesNamed(d.cookieName(name))
	if len(found) != 1 || strings.Trim(found[0].Value, cookieAlphabet) != "" {
		return ""
	}
	return found[0].Value
}

// cookieAlphabet is that of crypto/rand.Text. Nothing else is a cookie of ours: what is hashed before it stays apart from it.
const cookieAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// setCookie sets a cookie for the time that the browser runs; an empty value takes it away.
func (d *Dashboard) setCookie(w http.ResponseWriter, name, value string) {
	c := &http.Cookie{ //nolint:gosec // Secure where the origin is https, for a browser keeps no such cookie of a plain http://localhost
		Name: d.cookieName(name), Value: value, Path: "/", Secure: d.place.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// visit is the cookie of a browser in which no user is signed in, for the forms that it is given.
func (d *Dashboard) visit(w http.ResponseWriter, r *http.Request) string {
	if cookie := d.cookie(r, visitCookie); len(cookie) == len(rand.Text()) {
		return cookie
	}
	cookie := rand.Text()
	d.setCookie(w, visitCookie, cookie)
	return cookie
}

package faults

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
)

// browser keeps cookies and submits forms.
type browser struct{ *http.Client }

// newBrowser is one without cookies. Its connections are those of all callers.
func (l *load) newBrowser() *browser {
	jar, _ := cookiejar.New(nil) // never fails
	return &browser{&http.Client{
		Jar: jar, Timeout: callTimeout, Transport: l.caller.HTTP.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (b *browser) cookies(at string) []*http.Cookie {
	u, _ := url.Parse(at)
	return b.Jar.Cookies(u)
}

func (b *browser) setCookies(at string, cookies []*http.Cookie) {
	u, _ := url.Parse(at)
	b.Jar.SetCookies(u, cookies)
}

// get fetches a page; 0 without an answer.
func (b *browser) get(page string) (status int, body string) { return read(b.Get(page)) }

func read(response *http.Response, err error) (status int, body string) {
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	all, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(all)
}

var formToken = regexp.MustCompile(`name="form_token" value="([^"]+)"`)

// submit fetches the page with a form, and posts it. It returns the status of the latter, or of a page without a form.
func (b *browser) submit(server, page, to string, values url.Values) int {
	status, body := b.get(server + page)
	found := formToken.FindStringSubmatch(body)
	if found == nil {
		return status
	}
	form := url.Values{"form_token": {found[1]}}
	for name, value := range values {
		form[name] = value
	}
	status, _ = read(b.PostForm(server+to, form))
	return status
}

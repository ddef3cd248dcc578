package faults

import (
	"net/http"
	"net/url"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/faults/history"
	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

const password = "a long password of a user who is late"

// signIn signs the user in through the first server.
func (w *lateWrite) signIn() {
	name := "session of " + w.user
	e := history.Event{Worker: w.number, Op: history.Issue, On: name, Answer: history.Unknown, Start: w.log.Now()}
	status := w.browser.submit(w.late.URL, "/login", "/login", url.Values{"email": {w.client + "@example.com"}, "password": {password}})
	if e.End = w.log.Now(); status != http.StatusSeeOther {
		return
	}
	e.Answer = history.Done
	w.log.Add(e)
	cookies := w.browser.cookies(w.other.URL) // as a thief would keep them
	w.subjects = append(w.subjects, subject{
		name: name,
		ask: func(by processtest.Caller) processtest.Answer {
			thief := w.newBrowser()
			thief.setCookies(by.URL, cookies)
			status, _ := thief.get(by.URL + "/settings")
			return processtest.Answer{Status: status, Header: http.Header{"Retry-After": {"1"}}}
		},
		is: byStatus(http.StatusOK, http.StatusSeeOther), expected: []int{http.StatusOK, http.StatusSeeOther},
	})
}

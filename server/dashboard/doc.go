// Package dashboard is the pages: for developers their API keys, for operators the whole installation, and for
// all the documentation.
//
// The pages are rendered here, from the templates that are embedded, and work without JavaScript; a little of it copies and
// tests a key, keeps lists up to date and counts a time down. Nothing on them comes from another origin, and the
// Content-Security-Policy allows nothing else.
//
// A page is a struct, its Content, and a template. A [Handler] is given the session by the guard of its route,
// [Dashboard.SignedIn] or [Dashboard.OperatorOnly]. It returns an error, as everywhere; [Dashboard.Refuse] renders it as
// a page. Every change is a POST of a form. The form carries a token that belongs to the browser's cookie, and the answer
// is 303 to a page that shows what was done. The exceptions show a new secret, once: they are the answer to the POST
// itself, and each form is accepted once. A change that may stop programs is asked about first: see confirmation.
package dashboard

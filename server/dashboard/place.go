package dashboard

import (
	"net/url"
	"strings"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store"
)

// place is where the pages of one listener are. Either one listener has all pages, or those for operators have one of their
// own, which a network can close to all others. Then a sign-in at one place is none at the other: the cookies have
// different names, since a browser does not tell two ports of a host apart (RFC 6265 §8.5), and the digest of one cookie is
// never that of the other, so that a session of a user cannot be carried over.
type place struct {
	Origin    string   // of these pages
	Home      string   // the first page after a sign-in
	Own       []string // the paths of the pages that a sign-in may lead to
	Operators string   // what a link to a page for operators begins with; empty: it is here
	Users     string   // likewise to any other page

	cookie string // what the names of cookies begin with
	salt   string // what is hashed before a session's cookie
	only   bool   // for operators only
}

func placeOf(cfg *config.Config, forOperators bool) place {
	switch {
	case !cfg.SeparateAdmin():
		return place{
			Origin: cfg.Issuer, Home: "/settings", Own: []string{"/settings", "/operator", "/docs"}, cookie: "mintkeep_",
		}
	case forOperators:
		return place{
			Origin: cfg.AdminURL, Home: "/operator", Own: []string{"/operator"}, Users: cfg.Issuer,
			cookie: "mintkeep_operator_", salt: "operator ", only: true,
		}
	}
	return place{
		Origin: cfg.Issuer, Home: "/settings", Own: []string{"/settings", "/docs"}, Operators: cfg.AdminURL, cookie: "mintkeep_",
	}
}

// secure is whether the browser reaches the pages by https.
func (p place) secure() bool { return strings.HasPrefix(p.Origin, "https://") }

// session is the digest of a session, by its cookie.
func (p place) session(cookie string) store.Digest { return store.DigestOf(p.salt + cookie) }

// page is where a user wanted to go, if it is one of the pages that they may be sent to; else the first one. Anything
// else could be another site's address.
func (p place) page(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.ContainsAny(next, "\\\r\n\t") {
		return p.Home
	}
	for _, own := range p.Own {
		if u.Path == own || strings.HasPrefix(u.Path, own+"/") && !strings.Contains(u.Path, "..") {
			return u.RequestURI()
		}
	}
	return p.Home
}

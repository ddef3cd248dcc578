package oauth

import (
	"net/http"

	"github.com/mintkeep/mintkeep/server/web"
)

// errCrossSite rejects what a page of another site has a browser send (Fetch Metadata, W3C). Its failures would count for
// the address of the browser's user. No client library sends the header.
var errCrossSite = &web.Error{
	Status: http.StatusForbidden, Code: "access_denied",
	Description: "Requests from web pages of other sites are not allowed (Sec-Fetch-Site)",
}

// NotCrossSite is h, but for requests that a page of another site has a browser send.
func NotCrossSite(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		for _, site := range r.Header["Sec-Fetch-Site"] {
			if site == "cross-site" || site == "same-site" {
				return errCrossSite
			}
		}
		return h(w, r)
	}
}

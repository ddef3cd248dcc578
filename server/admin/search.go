package admin

import (
	"net/http"

	"github.com/mintkeep/mintkeep/server/web"
)

// search is what a caller wants of a listing that can be searched: ?q=&limit=&cursor=
type search struct {
	q       string
	after   string // the position behind which the page begins
	limit   int
	listing []string // what names it in a cursor
}

func (a *Admin) readSearch(r *http.Request, what string) (s search, err error) {
	query, err := web.ReadQuery(r)
	if err != nil {
		return s, err
	}
	if s.limit, err = query.Limit(); err != nil {
		return s, err
	}
	if s.q, err = query.Text("q"); err != nil {
		return s, err
	}
	cursor, err := query.Text("cursor")
	if err != nil {
		return s, err
	}
	s.listing = []string{what, s.q}
	s.after, err = a.cursors.Open(cursor, s.listing...)
	return s, err
}

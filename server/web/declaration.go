package web

import (
	"net/http"
	"unicode/utf8"

	"github.com/mintkeep/mintkeep/server/adminapi"
)

// ReadDeclaration reads owner and file from the query: the declaration that the request applies, for the audit log. Empty: the
// request applies none.
func ReadDeclaration(r *http.Request) (owner, file string, err error) {
	if r.URL.RawQuery == "" {
		return "", "", nil
	}
	query, err := ReadQuery(r)
	if err != nil {
		return "", "", err
	}
	if owner, err = query.Text("owner"); err != nil {
		return "", "", err
	}
	if file, err = query.Text("file"); err != nil {
		return "", "", err
	}
	switch {
	case owner == "" && file != "":
		return "", "", InvalidRequest("owner: is missing beside file")
	case owner == "":
		return "", "", nil
	case len(file) > adminapi.MaxFileName || !utf8.ValidString(file) || !Printable(file):
		return "", "", InvalidRequest("file: must be printable text of at most %d bytes", adminapi.MaxFileName)
	}
	if err := CheckOwner(owner); err != nil {
		return "", "", InvalidRequest("owner: %v", err)
	}
	return owner, file, nil
}

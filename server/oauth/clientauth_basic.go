package oauth

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/mintkeep/mintkeep/server/web"
)

// clientSecretBasic is HTTP Basic (RFC 6749 §2.3.1).
type clientSecretBasic struct{ bySecret }

func (clientSecretBasic) Name() string { return "client_secret_basic" }

// Present reads the Authorization header. Another scheme than Basic is a failed client authentication.
func (clientSecretBasic) Present(r *http.Request, _ url.Values) (p Presented, ok bool, err error) {
	headers := r.Header["Authorization"]
	if len(headers) == 0 {
		return p, false, nil
	}
	p, err = parseBasic(headers[0])
	return p, true, err
}

// parseBasic parses a header of client_secret_basic: the id and the secret are form-encoded, each by itself, before
// they are joined by a colon (RFC 6749 §2.3.1).
func parseBasic(header string) (Presented, error) {
	p := Presented{method: clientSecretBasic{}}
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return p, errInvalidClient
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimLeft(encoded, " "))
	if err != nil {
		return p, errInvalidClient
	}
	id, secret, ok := strings.Cut(string(raw), ":")
	if !ok {
		return p, errInvalidClient
	}
	if p.ClientID, err = formDecode(id); err == nil {
		p.Credential, err = formDecode(secret)
	}
	if err != nil {
		return p, web.InvalidRequest("The client id and the secret in the Authorization header must be form-encoded (RFC 6749 section 2.3.1)")
	}
	return p, nil
}

func formDecode(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	return url.QueryUnescape(s)
}

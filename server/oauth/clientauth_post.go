package oauth

import (
	"net/http"
	"net/url"
)

// clientSecretPost is the id and the secret in the form (RFC 6749 §2.3.1).
type clientSecretPost struct{ bySecret }

func (clientSecretPost) Name() string { return "client_secret_post" }

// Present reads the form. An id alone is no credential.
func (clientSecretPost) Present(_ *http.Request, form url.Values) (Presented, bool, error) {
	p := formCredentials(form)
	return p, p.Credential != "", nil
}

func formCredentials(form url.Values) Presented {
	return Presented{ClientID: form.Get("client_id"), Credential: form.Get("client_secret")}
}

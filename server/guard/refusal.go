package guard

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Refusal is why a request is not served. As an error it never has the credential.
type Refusal struct {
	Status      int    // 400, 401, 403 or 503
	Code        string // of RFC 6750 §3.1, or temporarily_unavailable; empty if no credential was presented
	Description string // for the caller's developer
	Challenge   string // the value of WWW-Authenticate; empty with 400 and 503
	// Reason is for logs and metrics, never for the caller: expired, revoked_or_unknown, audience, checksum, stale, …
	Reason     string
	RetryAfter time.Duration // with 503
}

func (r *Refusal) Error() string { return "guard: " + r.Description + " (" + r.Reason + ")" }

// missing is the refusal without an error code (RFC 6750 §3.1: "If the request lacks any authentication information").
func missing() *Refusal {
	return &Refusal{Status: http.StatusUnauthorized, Description: "Send an access token or an API key.", Reason: "missing"}
}

func badRequest(reason, description string) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Code: "invalid_request", Description: description, Reason: reason}
}

func invalid(reason string) *Refusal {
	return &Refusal{
		Status: http.StatusUnauthorized, Code: "invalid_token", Reason: reason,
		Description: "The access token or API key is malformed, expired, revoked, or not for this service.",
	}
}

func lacksScope(scopes []string) *Refusal {
	return &Refusal{
		Status: http.StatusForbidden, Code: "insufficient_scope", Reason: "scope",
		Description: "The credential lacks the scope " + strings.Join(scopes, " ") + ".",
	}
}

func unavailable(reason string) *Refusal {
	return &Refusal{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Reason: reason, RetryAfter: time.Second,
		Description: "The credential cannot be checked now. Try again.",
	}
}

// challenge completes a refusal with WWW-Authenticate (RFC 6750 §3, RFC 9728 §5.1). It makes a copy: callers who need other
// scopes may have waited for the same answer.
func (g *Guard) challenge(of *Refusal, scopes []string) *Refusal {
	same := *of
	r := &same
	if r.Status != http.StatusUnauthorized && r.Status != http.StatusForbidden {
		return r
	}
	var b strings.Builder
	b.WriteString(`Bearer realm="` + quoted(g.realm) + `"`)
	if r.Code != "" {
		b.WriteString(`, error="` + r.Code + `", error_description="` + quoted(r.Description) + `"`)
	}
	if r.Status == http.StatusForbidden {
		b.WriteString(`, scope="` + quoted(strings.Join(scopes, " ")) + `"`)
	}
	if g.config.ResourceMetadata != "" {
		b.WriteString(`, resource_metadata="` + quoted(g.config.ResourceMetadata) + `"`)
	}
	r.Challenge = b.String()
	return r
}

var quoting = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func quoted(s string) string { return quoting.Replace(s) }

// write is the default of Config.Refuse.
func (r *Refusal) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if r.Challenge != "" {
		h.Set("WWW-Authenticate", r.Challenge)
	}
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int(r.RetryAfter.Seconds()))))
	}
	code := r.Code
	if code == "" {
		code = "invalid_token" // the body needs one; the challenge has none
	}
	w.WriteHeader(r.Status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": r.Description})
}

// WriteRefusal writes a refusal as RFC 6750 §3 says, with a JSON object.
func WriteRefusal(w http.ResponseWriter, r *Refusal) { r.write(w) }

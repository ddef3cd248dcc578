package dashboard

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// clientFields are the fields of a client's metadata, on the page that registers one and on that of each.
type clientFields struct {
	Sent     url.Values
	Problems problems
	Grants   []choice
	Methods  []choice // of client authentication
	Audience string   // of the server
	TTL      string   // likewise
	MaxTTL   string
	Seen     string // the registration that the form was filled in from; empty: a new client
}

func (d *Dashboard) clientFields(sent url.Values, wrong problems) clientFields {
	f := clientFields{
		Sent: sent, Problems: wrong,
		Audience: d.config.Audience, TTL: compact(d.config.TokenTTL), MaxTTL: compact(d.config.TokenTTLMax),
	}
	for _, grant := range d.clients.Offers.GrantTypes {
		f.Grants = append(f.Grants, choice{grant, grant, "", slices.Contains(sent["grant"], grant)})
	}
	method := sent.Get("token_endpoint_auth_method")
	f.Methods = append(f.Methods, choice{"", "Any, by its secret or its key", "", method == ""})
	for _, m := range d.clients.Offers.AuthMethods {
		f.Methods = append(f.Methods, choice{m, m, "", method == m})
	}
	return f
}

// clientLabels are the labels of the fields.
var clientLabels = labels{
	"client_id":                  {"client_id", "Client ID"},
	"client_name":                {"client_name", "Name"},
	"scope":                      {"scope", "Scopes"},
	"grant_types":                {"grant", "Grants"},
	"token_endpoint_auth_method": {"token_endpoint_auth_method", "Client authentication method"},
	"access_token_ttl":           {"access_token_ttl", "Token lifetime"},
	"access_token_format":        {"access_token_format", "Token format"},
	"audience":                   {"audience", "Audience"},
	"rate_limit":                 {"rate_limit", "Rate limit"},

	"jwks":                            {"jwks", "Public key"},
	"jwks_uri":                        {"jwks_uri", "Key set URL"},
	"token_endpoint_auth_signing_alg": {"token_endpoint_auth_signing_alg", "Signing algorithm"},
}

// fieldsOf is a client as its form has it.
func fieldsOf(c *store.Client) url.Values {
	m := c.Metadata
	fields := url.Values{
		"client_name": {m.Name}, "scope": {m.Scope}, "grant": m.GrantTypes, "token_endpoint_auth_method": {m.AuthMethod},
		"access_token_format": {m.TokenFormat}, "audience": {strings.Join(m.Audience, " ")}, "rate_limit": {m.RateLimit.String()},
	}
	if m.TokenTTL > 0 {
		fields.Set("access_token_ttl", compact(m.TokenTTL))
	}
	return fields
}

// seenOf tells one state of what a form shows from another. A form that was filled in from another state, or by a version
// that has fewer fields, would take back what was changed since.
func seenOf(shown url.Values) string {
	digest := sha256.Sum256([]byte(shown.Encode()))
	return hex.EncodeToString(digest[:16])
}

// compact is a duration as it is typed: 15m, 1h30m.
func compact(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// fieldValues are the client members whose value is not the text of their field: how the field becomes the value. nil
// omits the member.
var fieldValues = map[string]func(values []string) (any, error){
	"scope":       func(values []string) (any, error) { return strings.Join(strings.Fields(first(values)), " "), nil },
	"grant_types": func(values []string) (any, error) { return append([]string{}, values...), nil },
	"access_token_ttl": func(values []string) (any, error) {
		text := strings.TrimSpace(first(values))
		if text == "" {
			return nil, nil
		}
		return seconds(text)
	},
	"audience": func(values []string) (any, error) {
		if uris := strings.Fields(first(values)); len(uris) > 0 {
			return uris, nil
		}
		return nil, nil
	},
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// seconds reads a duration as the CLI takes it, such as 15m, or a number of seconds, as the API does.
func seconds(text string) (any, error) {
	if digits := strings.TrimLeft(text, "0"); digits != "" && strings.Trim(digits, "0123456789") == "" {
		return json.RawMessage(digits), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d%time.Second != 0 {
		return nil, fmt.Errorf("must be a duration of whole seconds such as 15m, or a number of seconds such as 900")
	}
	return int64(d / time.Second), nil
}

// clientObject is a form as the registration that the API takes.
func clientObject(form url.Values) (web.Object, error) {
	members := map[string]any{"client_id": form.Get("client_id")}
	for _, m := range clients.Members {
		value := fieldValues[m.Name]
		switch {
		case m.Field == "":
		case value == nil:
			members[m.Name] = form.Get(m.Field)
		default:
			v, err := value(form[m.Field])
			if err != nil {
				return nil, web.InvalidRequest("%s: %v", m.Name, err)
			}
			if v != nil {
				members[m.Name] = v
			}
		}
	}
	return web.ObjectOf(members), nil
}

// clientPatch is the form of a registered client as the merge patch that the API takes. What was emptied is null.
func clientPatch(form url.Values) (web.Object, error) {
	sent, err := clientObject(form)
	if err != nil {
		return nil, err
	}
	patch := web.Object{}
	for _, m := range clients.Members {
		if m.Field == "" {
			continue
		}
		if patch[m.Name] = sent[m.Name]; patch[m.Name] == nil {
			patch[m.Name] = json.RawMessage("null")
		}
	}
	return patch, nil
}

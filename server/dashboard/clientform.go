package dashboard

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/web"
)

// fieldValues are the client members whose value is not the text of their field: how the text becomes the value. nil
// omits the member.
var fieldValues = map[string]func(text string) any{
	"scope": func(text string) any { return strings.Join(strings.Fields(text), " ") },
	"grant_types": func(text string) any {
		if text == "" { // the box is not checked
			return []string{}
		}
		return nil
	},
	"access_token_ttl": func(text string) any {
		if text == "" {
			return nil
		}
		return json.RawMessage(number(text))
	},
	"audience": func(text string) any {
		if uris := strings.Fields(text); len(uris) > 0 {
			return uris
		}
		return nil
	},
}

// clientObject is a form as the registration that the API takes.
func clientObject(form url.Values) web.Object {
	members := map[string]any{"client_id": form.Get("client_id")}
	for _, m := range clients.Members {
		text, value := form.Get(m.Field), fieldValues[m.Name]
		switch {
		case m.Field == "":
		case value == nil:
			members[m.Name] = text
		default:
			if v := value(text); v != nil {
				members[m.Name] = v
			}
		}
	}
	return web.ObjectOf(members)
}

// clientPatch is the form of a registered client as the merge patch that the API takes. What was emptied is null.
func clientPatch(form url.Values) web.Object {
	sent, patch := clientObject(form), web.Object{}
	for _, m := range clients.Members {
		if !m.Changes {
			continue
		}
		if patch[m.Name] = sent[m.Name]; patch[m.Name] == nil {
			patch[m.Name] = json.RawMessage("null")
		}
	}
	return patch
}

// number is a text as JSON: the number that it is, or else a string, which the registration rejects.
func number(text string) string {
	for _, c := range text {
		if c < '0' || c > '9' {
			return `"not a number"`
		}
	}
	return strings.TrimLeft(text[:len(text)-1], "0") + text[len(text)-1:]
}

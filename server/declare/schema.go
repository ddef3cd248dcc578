package declare

import (
	"encoding/json"

	"github.com/mintkeep/mintkeep/store"
)

// SchemaPath is where a server has the JSON Schema of the files.
const SchemaPath = "/apply.schema.json"

type jsonObject = map[string]any

// Schema is the JSON Schema of a file (2020-12), for editors and for checks before "mintkeep apply".
func Schema() []byte {
	client := properties(clientMembers)
	client[secretsMember] = jsonObject{
		"description": "Digests of secrets that you generated, at least 32 random characters each. Default: they are not declared, and the server creates one for a new client.",
		"type":        "array", "minItems": 1, "maxItems": store.MaxSecrets,
		"items": jsonObject{
			"type": "object", "additionalProperties": false, "required": []string{sha256Member},
			"properties": jsonObject{sha256Member: jsonObject{"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"}},
		},
	}
	client[secretFileMember] = jsonObject{
		"description": "A file with the secret, which mintkeep apply reads where it runs. A relative path is relative to this file.", "type": "string",
	}
	text, err := json.MarshalIndent(jsonObject{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "Clients and users of Mintkeep, for mintkeep apply",
		"type":    "object", "additionalProperties": false, "required": []string{"version", "owner"},
		"properties": jsonObject{
			"version": jsonObject{"const": 1},
			"owner": jsonObject{
				"description": "What this file manages has this owner. Pruning deletes nothing that has another one, or none.",
				"type":        "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
			},
			"clients": jsonObject{
				"type": []string{"object", "null"}, "description": "Clients by their ids.",
				"propertyNames":        jsonObject{"pattern": "^[A-Za-z0-9._~-]{1,128}$"},
				"additionalProperties": jsonObject{"$ref": "#/$defs/client"},
			},
			"users": jsonObject{
				"type": []string{"object", "null"}, "description": "Users by their email addresses.",
				"propertyNames":        jsonObject{"pattern": "^[^@\\s<>,]+@[^@\\s<>,]+$"},
				"additionalProperties": jsonObject{"$ref": "#/$defs/user"},
			},
		},
		"$defs": jsonObject{
			"client": jsonObject{
				"type": []string{"object", "null"}, "additionalProperties": false, "properties": client,
				"not": jsonObject{"type": "object", "required": []string{secretsMember, secretFileMember}},
			},
			"user": jsonObject{"type": []string{"object", "null"}, "additionalProperties": false, "properties": properties(userMembers)},
		},
	}, "", "  ")
	if err != nil {
		panic(err) // the values are ours
	}
	return append(text, '\n')
}

// properties are the members of a table as a schema has them. null is the default.
func properties(members []member) jsonObject {
	all := jsonObject{}
	for _, m := range members {
		property := jsonObject{"description": m.help, "type": []string{m.kind.schema(), "null"}}
		switch {
		case m.kind == words || m.kind == list:
			property["items"], property["uniqueItems"] = jsonObject{"type": "string"}, true
		case m.kind == duration:
			property["pattern"] = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
		case m.enum != nil:
			choices := []any{nil}
			for _, choice := range m.enum {
				choices = append(choices, choice)
			}
			property["enum"] = choices
		}
		all[m.name] = property
	}
	return all
}

// schema is the type of JSON that a kind has.
func (k kind) schema() string {
	switch k {
	case words, list:
		return "array"
	case boolean:
		return "boolean"
	case object:
		return "object"
	case text, duration:
	}
	return "string"
}

package declare

// kind is the form of a member in a file.
type kind int

const (
	text     kind = iota
	words         // a list, which the API has as one string with spaces
	list          // of strings
	duration      // such as 15m; the API has seconds
	boolean
	object // of JSON, as it is
)

// member is one member of a client or a user.
type member struct {
	name string // in a file
	wire string // in the API, if it is another
	kind kind
	help string // in the JSON Schema
	enum []string
}

// inAPI is the name that the API has for it.
func (m member) inAPI() string {
	if m.wire != "" {
		return m.wire
	}
	return m.name
}

// clientMembers are the members of a client, but for those about its secrets. A test holds them to clients.Members.
var clientMembers = []member{
	{name: "name", wire: "client_name", help: "A display name."},
	{name: "scope", kind: words, help: "The scopes that the client may request."},
	{name: "grant_types", kind: list, help: "The grants that it may use; [] for a client that only introspects and revokes. Default: [client_credentials]."},
	{name: "token_endpoint_auth_method", help: "The only method by which it may authenticate. Default: any for which it has a secret or a key."},
	{name: "access_token_ttl", kind: duration, help: "The lifetime of its tokens, such as 15m: whole seconds. Default: that of the server."},
	{name: "access_token_format", help: "The format of its tokens. Default: jwt.", enum: []string{"jwt", "opaque"}},
	{name: "audience", kind: list, help: "The resources that it may request; the first is its default."},
	{name: "jwks", kind: object, help: "Its public keys, a JWK set (RFC 7517)."},
	{name: "jwks_uri", help: "An https URL from which its public keys are fetched instead."},
	{name: "token_endpoint_auth_signing_alg", help: "The only algorithm of its assertions. Default: each that fits its key."},
	{name: "rate_limit", help: "The most calls for tokens: 20/s, 600/m or 5000/h. Default: no limit."},
	{name: "disabled", kind: boolean, help: "A disabled client cannot authenticate, and its tokens are revoked."},
}

// The members about a client's secrets.
const (
	secretsMember    = "secrets"
	secretFileMember = "secret_file"
	sha256Member     = "sha256"
)

// userMembers are the members of a user.
var userMembers = []member{
	{name: "name", help: "A display name."},
	{name: "role", help: "Operators manage all clients, users and keys; developers their own keys. Default: developer.", enum: []string{"developer", "operator"}},
	{name: "disabled", kind: boolean, help: "While it is true, every API key of the user is rejected, and the user cannot sign in."},
}

// find is the member with this name in a file, or nil.
func find(members []member, name string) *member {
	for i := range members {
		if members[i].name == name {
			return &members[i]
		}
	}
	return nil
}

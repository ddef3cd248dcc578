package bearer

import "github.com/mintkeep/mintkeep/store"

// Owned is the principal of a credential of which the digest and the owners are known, or nil if it is not active, or is
// another's: an access token is a client's alone, an API key a user's. Only the client has the generation of a token's record,
// and Redis forgets the record when the token expires. So no claims are read, and the principal has none.
func (v *Verifier) Owned(record *store.Credential, client *store.Client, user *store.User) *Principal {
	switch {
	case record == nil || client != nil && user != nil:
	case record.Key != nil && user != nil:
		if record.Key.UserID == user.ID && !v.keyExpired(record.Key) && keyOf(record, user) {
			return &Principal{Key: record.Key, User: user, Record: record}
		}
	case record.Key == nil && client != nil:
		if tokenOf(record, client) {
			return &Principal{Client: client, Record: record}
		}
	}
	return nil
}

// tokenOf is whether the client still has the generation of the token's record.
func tokenOf(record *store.Credential, client *store.Client) bool {
	return client.Enabled && record.Generation.Matches(client.Generation)
}

// keyOf is the same of an API key.
func keyOf(record *store.Credential, user *store.User) bool {
	return user.Enabled && record.Generation.Matches(user.Generation)
}

func (v *Verifier) keyExpired(key *store.KeyRecord) bool {
	return key.ExpiresAt != 0 && v.Now().UnixMilli() >= key.ExpiresAt
}

package bearer

import "github.com/mintkeep/mintkeep/store"

// JWT is whether the presented credential says itself what it allows. Its digest vouches for that, so that nothing of it can
// change.
func (p Presented) JWT() bool { return p.claims != nil }

// JWT is [Presented.JWT] of a credential by its record alone.
func JWT(record *store.Credential) bool { return record.Key == nil && len(record.Claims) == 0 }

// Owned is the principal of a credential of which the digest and the owners are known, or nil if it is not active, or is
// another's: an access token is a client's alone, an API key a user's. The claims of a JWT are not known, so the principal
// has none. That it has expired is known by its record, which Redis then forgets.
func (v *Verifier) Owned(record *store.Credential, client *store.Client, user *store.User) *Principal {
	switch {
	case record == nil || (client == nil) == (user == nil):
		return nil
	case record.Key != nil:
		if user == nil || record.Key.UserID != user.ID || v.keyExpired(record.Key) || !keyOf(record, user) {
			return nil
		}
		return &Principal{Key: record.Key, User: user}
	case client == nil || !tokenOf(record, client):
		return nil
	case JWT(record):
		return &Principal{Client: client}
	}
	claims := v.Issued(Presented{}, record)
	if claims == nil || claims.ClientID != client.ID {
		return nil
	}
	return &Principal{Claims: claims, Client: client}
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

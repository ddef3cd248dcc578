package store

// countVoids tells [Options.CountVoid].
func (s *Store) countVoids(revocations []Revocation) {
	if s.onVoid == nil {
		return
	}
	for _, r := range revocations {
		if _, voids := voidOf(r); voids || r.Kind == AllRevoked {
			s.onVoid(string(r.Kind))
		}
	}
}

// VoidKinds are what [Options.CountVoid] is told.
var VoidKinds = []string{
	string(TokenRevoked), string(KeyRevoked), string(SecretRevoked), string(ClientKeyRevoked), string(ClientRevoked), string(UserRevoked),
	string(AllRevoked),
}

package store

// countVoids tells [Options.CountVoid].
func (s *Store) countVoids(voids []*void) {
	if s.onVoid == nil {
		return
	}
	for _, v := range voids {
		if v != nil {
			s.onVoid(string(v.kind))
		}
	}
}

// VoidKinds are what [Options.CountVoid] is told.
var VoidKinds = []string{
	string(TokenRevoked), string(KeyRevoked), string(SecretRevoked), string(ClientKeyRevoked), string(ClientRevoked), string(UserRevoked),
	string(AllRevoked),
}

package guardtest

import "maps"

// Describe has introspection tell these members of a credential, beside those that it has: name, metadata, rate_limit or
// username of an API key.
func (s *Server) Describe(credential string, members map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.credentials[credential].members, members)
}

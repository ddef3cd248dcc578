package store

import (
	"context"
)

var clients = directory{ids: "mk:clients:id", names: "mk:clients:name"}

// reindexClient puts the entries of a client back, should they have been taken away: whoever tidies
// up after an old life of a client may do so when the next one has begun. Both the one who wrote the
// client and the one who took an entry away call it, so that whichever is last sees what the other did.
func (s *Store) reindexClient(ctx context.Context, id string) {
	c, err := s.Client(ctx, id)
	if err == nil {
		err = s.enter(ctx, clients, id, c.Metadata.Name)
	}
	if err != nil && !isNotFound(err) {
		s.log.WarnContext(ctx, "a client may be missing from the directory", "client_id", id, "error", err)
	}
}

// Clients lists at most limit clients whose id, or lower-cased name, begins with query: first those
// found by id, then those found by name alone, each in the order of bytes. after is where the last page
// ended, and next where this one did; both are empty at the ends, and not for the eyes of a caller.
func (s *Store) Clients(ctx context.Context, query, after string, limit int) (page []*Client, next string, err error) {
	return listing[Client]{
		directory: clients,
		query:     query,
		read: func(ctx context.Context, ids []string) ([]*Client, error) {
			return readAll(ctx, s, ids, clientKey, decodeClient)
		},
		id:    func(c *Client) string { return c.ID },
		names: func(c *Client) []string { return []string{c.Metadata.Name} },
	}.page(ctx, s, after, limit)
}

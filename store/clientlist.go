package store

import "context"

// Clients lists at most limit clients of whose id or name a word begins with query, whatever their case: first those whose
// id does, as it is written, then those whose name does, then the others, each in the order of bytes. after is where the last page
// ended, and next where this one did; both are empty at the ends, and must not be shown to a caller.
func (s *Store) Clients(ctx context.Context, query, after string, limit int) (page []*Client, next string, err error) {
	return s.listClients(ctx, query, after, limit, s.decoded.client)
}

// EveryClient is Clients with those whose record cannot be read, which are found by their ids.
func (s *Store) EveryClient(ctx context.Context, query, after string, limit int) (page []*Client, next string, err error) {
	return s.listClients(ctx, query, after, limit, s.decoded.anyClient)
}

// anyClient is client for a list of which no record may spoil the rest.
func (d *decoded) anyClient(id string, fields map[string]string) (*Client, error) {
	c, err := d.client(id, fields)
	if err != nil && !isNotFound(err) {
		return &Client{ID: id, Enabled: true, Unreadable: err}, nil
	}
	return c, err
}

func (s *Store) listClients(
	ctx context.Context, query, after string, limit int, decode func(id string, fields map[string]string) (*Client, error),
) (page []*Client, next string, err error) {
	return listing[Client]{
		directory: clients,
		query:     query,
		read: func(ctx context.Context, ids []string) ([]*Client, error) {
			return readAll(ctx, s, ids, clientKey, decode)
		},
		id:    func(c *Client) string { return c.ID },
		names: func(c *Client) []string { return []string{c.Metadata.Name} },
	}.page(ctx, s, after, limit)
}

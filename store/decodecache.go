package store

import (
	"sync"
	"sync/atomic"
)

// maxDecoded is how many decoded records a cache keeps, at most.
const maxDecoded = 2_000

// decoded are the decode caches of a Store.
type decoded struct {
	clients decodeCache[storedMetadata]
	users   decodeCache[UserMetadata]
	secrets decodeCache[Secret]
	keys    decodeCache[KeyRecord]
}

// decodeCache keeps what records were decoded to, by their very bytes: what is decoded is always what was read just now,
// without the work of decoding it again. A hit takes no lock.
type decodeCache[T any] struct {
	known sync.Map // string → T
	n     atomic.Int64
}

// decode returns what record is decoded to. The caller must not change what the result points at.
func (c *decodeCache[T]) decode(record string) (T, error) {
	body, err := recordBody(record)
	if err != nil {
		var none T
		return none, err
	}
	return c.decodeBody(body)
}

// decodeBody is decode for what lies behind the version.
func (c *decodeCache[T]) decodeBody(body string) (T, error) {
	if known, ok := c.known.Load(body); ok {
		return known.(T), nil
	}
	var v T
	if err := decodeBody(body, &v); err != nil {
		return v, err
	}
	if c.n.Add(1) > maxDecoded { // more records than that are in use: begin again
		c.known.Clear()
		c.n.Store(1)
	}
	c.known.Store(body, v)
	return v, nil
}

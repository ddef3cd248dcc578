package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
)

type clientList struct {
	Query  string `short:"q" name:"query" placeholder:"PREFIX" help:"Only clients whose id or name begins so."`
	Limit  int    `placeholder:"N" help:"At most so many at a time. Default: the server's page."`
	Cursor string `placeholder:"CURSOR" help:"Go on where an earlier list ended."`
	All    bool   `help:"Follow the list to its end."`
}

// page is one page of the list, as the server sends it.
type page struct {
	Items      []json.RawMessage `json:"items"`
	NextCursor string            `json:"next_cursor"`
}

// Validate checks the limit.
func (c *clientList) Validate() error {
	if c.Limit < 0 {
		return errors.New("--limit must be at least 1")
	}
	return nil
}

// Run lists clients, page by page.
func (c *clientList) Run(ctx context.Context, admin *api, out printer) error {
	list := page{Items: []json.RawMessage{}, NextCursor: c.Cursor}
	for {
		body, err := admin.get(ctx, "/admin/clients", c.parameters(list.NextCursor))
		if err != nil {
			return err
		}
		var next page
		if err := json.Unmarshal(body, &next); err != nil {
			return fmt.Errorf("the list is not what Mintkeep sends: %w", err)
		}
		if next.NextCursor != "" && next.NextCursor == list.NextCursor {
			return errors.New("the list goes in circles: the server sent the same cursor twice")
		}
		if !c.All {
			return out.list(body, next)
		}
		list = page{Items: append(list.Items, next.Items...), NextCursor: next.NextCursor}
		if list.NextCursor == "" {
			return out.all(list)
		}
	}
}

func (c *clientList) parameters(cursor string) url.Values {
	parameters := url.Values{}
	if c.Query != "" {
		parameters.Set("q", c.Query)
	}
	if c.Limit > 0 {
		parameters.Set("limit", strconv.Itoa(c.Limit))
	}
	if cursor != "" {
		parameters.Set("cursor", cursor)
	}
	return parameters
}

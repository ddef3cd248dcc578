package main

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"net/url"
	"strconv"

	"github.com/mintkeep/mintkeep/server/adminapi"
)

// paging is what the flags of a list say of its pages.
type paging struct {
	Limit  int    `placeholder:"N" help:"Page size. Default: 50."`
	Cursor string `placeholder:"CURSOR" help:"Continue from the cursor of an earlier page."`
	All    bool   `help:"List all pages."`
}

// Validate checks the limit.
func (g paging) Validate() error {
	if g.Limit < 0 {
		return errors.New("--limit must be at least 1")
	}
	return nil
}

// list shows one page of what is at the path, or all of it.
func (g paging) list(ctx context.Context, admin *api, out printer, path string, query url.Values, t table) error {
	if g.Limit > 0 {
		query.Set("limit", strconv.Itoa(g.Limit))
	}
	if g.Cursor != "" {
		query.Set("cursor", g.Cursor)
	}
	items := []json.RawMessage{}
	for p, err := range admin.pages(ctx, path, query) {
		if err != nil {
			return err
		}
		if !g.All {
			return out.page(p, t)
		}
		items = append(items, p.Items...)
	}
	return out.all(items, t)
}

// filters are the query parameters that have a value.
func filters(pairs map[string]string) url.Values {
	query := url.Values{}
	for name, value := range pairs {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// page is one page of a list, and the bytes that the server sent.
type page struct {
	adminapi.Page[json.RawMessage]
	body json.RawMessage
}

// pages yields the pages of a list from where the query says. An error is yielded last.
func (a *api) pages(ctx context.Context, path string, query url.Values) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		query := maps.Clone(query)
		for {
			p, err := a.page(ctx, path, query)
			if err != nil {
				yield(page{}, err)
				return
			}
			if !yield(p, nil) || p.NextCursor == "" {
				return
			}
			query.Set("cursor", p.NextCursor)
		}
	}
}

func (a *api) page(ctx context.Context, path string, query url.Values) (page, error) {
	body, err := a.get(ctx, path, query)
	if err != nil {
		return page{}, err
	}
	p, err := parsed[page](body)
	if err != nil {
		return page{}, err
	}
	if p.NextCursor != "" && p.NextCursor == query.Get("cursor") {
		return page{}, errors.New("the server sent the same cursor twice; the list was stopped")
	}
	p.body = body
	return p, nil
}

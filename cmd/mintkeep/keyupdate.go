package main

import (
	"context"
	"errors"
	"time"
)

// keyMembers is what create and update say of a key besides its name, its scope and its expiry.
type keyMembers struct {
	Description *string           `placeholder:"TEXT" help:"What the key is for, in at most 500 characters."`
	Metadata    map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"What a service should know about the key, which introspection tells it; repeat for more."`
	RateLimit   *string           `placeholder:"RATE" help:"Most uses: 20/s, 600/m or 5000/h. Mintkeep counts those of its own API, and tells services the limit. Default: no limit."`
}

// addTo adds what was given, as it goes on the wire.
func (m keyMembers) addTo(members map[string]any) {
	if m.Description != nil {
		members["description"] = *m.Description
	}
	if len(m.Metadata) > 0 {
		members["metadata"] = m.Metadata
	}
	if m.RateLimit != nil {
		members["rate_limit"] = *m.RateLimit
	}
}

type keyUpdate struct {
	keyTarget
	waiting
	Name    *string `placeholder:"NAME" help:"Another name."`
	Scope   *string `placeholder:"SCOPES" help:"The scopes that it keeps, separated by spaces."`
	Expires *expiry `placeholder:"WHEN" help:"An earlier expiry: 90d, 720h, a date (from 00:00 UTC) or a time (RFC 3339)."`
	keyMembers
	RemoveMetadata []string `placeholder:"NAME" help:"Remove this name from the metadata; repeat for more."`
	Disable        bool     `xor:"disabled" help:"Reject the key until it is enabled."`
	Enable         bool     `xor:"disabled" help:"Accept a disabled key again."`
	Clear          []string `placeholder:"FLAG" help:"Reset a value to none, by the name of its flag: --clear=description,metadata,rate-limit."`
}

// Help says what an update cannot do.
func (*keyUpdate) Help() string {
	return `A key can only lose scopes, and expire earlier: create or rotate a key to give more. What is taken away holds for the next
request on every replica.`
}

// keyClearable are the flags whose values --clear resets, and the members of these.
var keyClearable = map[string]string{"description": "description", "metadata": "metadata", "rate-limit": "rate_limit"}

// members are the merge patch (RFC 7396).
func (c *keyUpdate) members(now time.Time) map[string]any {
	members := map[string]any{}
	c.addTo(members)
	if c.Name != nil {
		members["name"] = *c.Name
	}
	if c.Scope != nil {
		members["scope"] = *c.Scope
	}
	if c.Expires != nil {
		members["expires_at"] = c.Expires.from(now)
	}
	if c.Disable || c.Enable {
		members["disabled"] = c.Disable
	}
	if len(c.RemoveMetadata) > 0 {
		metadata := map[string]any{}
		for name, value := range c.Metadata {
			metadata[name] = value
		}
		for _, name := range c.RemoveMetadata {
			metadata[name] = nil
		}
		members["metadata"] = metadata
	}
	return members
}

// Validate checks what is to be cleared.
func (c *keyUpdate) Validate() error {
	given := c.members(time.Time{})
	for _, flag := range c.Clear {
		member, known := keyClearable[flag]
		if _, twice := given[member]; !known || twice {
			return errors.New("--clear takes description, metadata, rate-limit, and none that is given as well")
		}
	}
	for _, name := range c.RemoveMetadata {
		if _, twice := c.Metadata[name]; twice || name == "" {
			return errors.New("--remove-metadata takes names that --metadata does not set")
		}
	}
	if len(given)+len(c.Clear) == 0 {
		return errors.New("nothing to change: give a flag, such as --name or --disable")
	}
	return c.keyTarget.Validate()
}

// Run sends what was given. What is taken away is revoked.
func (c *keyUpdate) Run(ctx context.Context, p process, admin *api, out printer) error {
	members := c.members(p.now())
	for _, flag := range c.Clear {
		members[keyClearable[flag]] = nil
	}
	return c.after(ctx, p, admin, out, func(out printer) error {
		key, err := admin.patch(ctx, c.path(), members)
		if err != nil {
			return err
		}
		return out.key(key, keyNames{})
	})
}

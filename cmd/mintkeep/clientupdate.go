package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/go-jose/go-jose/v4"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/jwks"
)

type clientUpdate struct {
	target
	metadata
	keyCheck
	waiting
	AddKey    *string      `placeholder:"PATH" help:"Add the public keys in this file to those that are registered: a JWK, a JWK set, or PEM; - is the standard input. A client has at most 10."`
	RemoveKey publicKeyIDs `placeholder:"KEY" help:"Remove the registered public key with this key id or thumbprint, as client show lists them. May be given more than once."`
	Clear     []string     `placeholder:"FLAG" help:"Reset a value to its default, by the name of its flag: --clear=token-ttl,audience."`
}

// publicKeyIDs are key ids and thumbprints. One thumbprint in 64 begins with "-",
// so what follows the flag is its value whatever it looks like.
type publicKeyIDs []string

// Decode adds the value of one flag.
func (n *publicKeyIDs) Decode(ctx *kong.DecodeContext) error {
	name := ctx.Scan.Pop()
	if name.IsEOL() {
		return errors.New("expected the id or the thumbprint of a key")
	}
	*n = append(*n, name.String())
	return nil
}

// Validate checks what is to be cleared, and that a key set is either changed or replaced.
func (c *clientUpdate) Validate() error {
	given := c.members()
	for _, flag := range c.Clear {
		member, known := memberOf(flag)
		if _, twice := given[member]; !known || twice {
			return fmt.Errorf("--clear takes %s, and none that is given as well", strings.Join(metadataFlags(), ", "))
		}
	}
	if len(given)+len(c.Clear) == 0 && !c.editsKeys() {
		return errors.New("nothing to change: give a flag, such as --name or --clear")
	}
	for flag, replaces := range map[string]bool{
		"--jwks-file": c.JWKSFile != nil, "--jwks-uri": c.JWKSURI != nil,
		"--clear": slices.Contains(c.Clear, "jwks-file") || slices.Contains(c.Clear, "jwks-uri"),
	} {
		if replaces && c.editsKeys() {
			return fmt.Errorf("--add-key and --remove-key change the registered keys, and can't be used together with %s, which replaces them", flag)
		}
	}
	if slices.Contains(c.RemoveKey, "") {
		return errors.New("--remove-key needs the id or the thumbprint of a key")
	}
	return errors.Join(c.target.Validate(), c.metadata.Validate())
}

// editsKeys is whether single keys are added or removed.
func (c *clientUpdate) editsKeys() bool { return c.AddKey != nil || len(c.RemoveKey) > 0 }

// Run sends what was given as a merge patch, in which null clears (RFC 7396). What is taken away is revoked.
func (c *clientUpdate) Run(ctx context.Context, p process, admin *api, out printer) error {
	return c.after(ctx, p, admin, out, func(out printer) error { return c.update(ctx, p, admin, out) })
}

func (c *clientUpdate) update(ctx context.Context, p process, admin *api, out printer) error {
	members, err := c.request(p)
	if err != nil {
		return err
	}
	for _, flag := range c.Clear {
		member, _ := memberOf(flag)
		members[member] = nil
	}
	path := c.keyCheck.path(c.target.path())
	keys := c.replaceKeys(members)
	if !keys && !c.editsKeys() {
		return change(ctx, admin, out, path, members)
	}
	shown, err := admin.get(ctx, c.target.path(), nil)
	if err != nil {
		return err
	}
	before, err := parsed[adminapi.Client](shown)
	if err != nil {
		return err
	}
	if c.editsKeys() {
		if members["jwks"], err = c.edited(p, out, before); err != nil {
			return err
		}
		path = with(c.target.path(), url.Values{"if_keys": {strings.Join(thumbprintsOf(before), ",")}})
	}
	body, err := admin.patch(ctx, path, members)
	if err != nil {
		return err
	}
	if err := out.client(body); err != nil || out.json {
		return err
	}
	return c.noteKeys(out, before, body)
}

// replaceKeys says whether the client's keys are replaced. A set and a URL exclude each other (RFC 7591 §2): one takes the place of
// the other.
func (c *clientUpdate) replaceKeys(members map[string]any) bool {
	set, inline := members["jwks"]
	uri, remote := members["jwks_uri"]
	switch {
	case set != nil:
		members["jwks_uri"] = nil
	case uri != nil:
		members["jwks"] = nil
	}
	return inline || remote
}

// edited is the registered key set with the keys that are added, and without those that are removed; nil if none is left. What
// may be registered is for the server to say.
func (c *clientUpdate) edited(p process, out printer, before adminapi.Client) (any, error) {
	if before.JWKSURI != "" {
		return nil, fmt.Errorf("the keys of client %s are at its jwks_uri, %s: change them there", c.ID, before.JWKSURI)
	}
	var set keySet
	if len(before.JWKS) > 0 {
		if err := json.Unmarshal(before.JWKS, &set); err != nil || len(set.Keys) != len(before.Keys) {
			return nil, errors.New("the answer is not what Mintkeep sends: its jwks and its keys differ")
		}
	}
	removed := map[string]bool{} // by the thumbprint
	for _, name := range c.RemoveKey {
		i := slices.IndexFunc(before.Keys, func(k adminapi.ClientKey) bool { return name == k.Thumbprint || name == orEmpty(k.ID) })
		if i < 0 {
			return nil, fmt.Errorf("client %s has no key %q: mintkeep client show %s lists its keys", c.ID, name, shellWord(c.ID))
		}
		removed[before.Keys[i].Thumbprint] = true
	}
	var kept keySet
	for i, key := range set.Keys {
		if !removed[before.Keys[i].Thumbprint] {
			kept.Keys = append(kept.Keys, key)
		}
	}
	added, err := c.added(p)
	if err != nil {
		return nil, err
	}
	for _, key := range added.Keys {
		sum := thumbprintOf(key)
		i := slices.IndexFunc(before.Keys, func(k adminapi.ClientKey) bool { return k.Thumbprint == sum })
		if i >= 0 && !removed[sum] {
			out.note(fmt.Sprintf("The key %s is registered already.", orEmpty(before.Keys[i].ID)))
			continue
		}
		kept.Keys = append(kept.Keys, key)
	}
	if len(kept.Keys) == 0 {
		return nil, nil
	}
	return kept, nil
}

// added are the keys in the file of --add-key.
func (c *clientUpdate) added(p process) (set keySet, err error) {
	if c.AddKey == nil {
		return set, nil
	}
	text, err := readKeySet(p, *c.AddKey)
	if err == nil {
		err = json.Unmarshal(text, &set)
	}
	if err == nil && len(set.Keys) == 0 {
		err = errors.New("it has no key")
	}
	if err != nil {
		return set, usagef("--add-key: %w", err)
	}
	return set, nil
}

// noteKeys names the keys that were registered before and are not any more.
func (c *clientUpdate) noteKeys(out printer, before adminapi.Client, body json.RawMessage) error {
	after, err := parsed[adminapi.Client](body)
	if err != nil {
		return err
	}
	if before.JWKSURI != "" { // these keys were never registered
		before.Keys = nil
	}
	left := thumbprintsOf(after)
	if after.JWKSURI != "" {
		left = nil
	}
	gone := false
	for _, k := range before.Keys {
		if slices.Contains(left, k.Thumbprint) {
			continue
		}
		gone = true
		use := "never used"
		if k.LastUsedAt != nil {
			use = "last used " + stamp(k.LastUsedAt)
		}
		out.note(fmt.Sprintf("Removed the key %s, %s.", orEmpty(k.ID), use))
	}
	if gone || !c.editsKeys() {
		out.note("A key that was removed or replaced gets no new token. Tokens that the client already has stay valid. To revoke them: mintkeep client revoke-tokens " + shellWord(c.ID))
	}
	return nil
}

// keySet is a JWK set whose keys stay as they are.
type keySet struct {
	Keys []json.RawMessage `json:"keys"`
}

func thumbprintsOf(c adminapi.Client) (sums []string) {
	for _, k := range c.Keys {
		sums = append(sums, k.Thumbprint)
	}
	return sums
}

// thumbprintOf is that of a JWK (RFC 7638); empty if it is none that the server would take.
func thumbprintOf(key json.RawMessage) string {
	var jwk jose.JSONWebKey
	if jwk.UnmarshalJSON(key) != nil {
		return ""
	}
	sum, err := jwks.Thumbprint(jwk.Key)
	if err != nil {
		return ""
	}
	return sum
}

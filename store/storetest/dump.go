package storetest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Dump is everything that is stored: by key, the strings that the value consists of. A hash is its fields
// each followed by its value, a sorted set its members each followed by its score, a stream for each entry its
// id, fields and values.
type Dump map[string][]string

// Dump reads everything that the backend has.
//
// It leaves out the claims to create signing keys: real Redis ends them after half a minute, which a busy machine may
// take between two dumps.
func (b *Backend) Dump(t testing.TB) Dump {
	t.Helper()
	ctx, rdb, d := context.Background(), b.Client(), Dump{}
	err := forEachKey(ctx, rdb, func(key string) error {
		value, err := readValue(ctx, rdb, key)
		if value != nil && !strings.HasPrefix(key, leasePrefix) {
			d[key] = value
		}
		return err
	})
	if err != nil {
		t.Fatalf("dump of the %s: %v", b.Name, err)
	}
	return d
}

const leasePrefix = "mk:signing-keys:claim:"

// Find returns the keys that have s in their name or value, sorted.
func (d Dump) Find(s string) []string {
	var keys []string
	for key, value := range d {
		if strings.Contains(key, s) || slices.ContainsFunc(value, func(v string) bool { return strings.Contains(v, s) }) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Keys returns the names of all keys, sorted.
func (d Dump) Keys() []string { return d.Find("") }

func forEachKey(ctx context.Context, rdb *redis.Client, f func(key string) error) error {
	keys := rdb.Scan(ctx, 0, "*", 1000).Iterator()
	for keys.Next(ctx) {
		if err := f(keys.Val()); err != nil {
			return err
		}
	}
	return keys.Err()
}

// readValue is nil for a key that has just expired.
func readValue(ctx context.Context, rdb *redis.Client, key string) ([]string, error) {
	kind, err := rdb.Type(ctx, key).Result()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "none":
		return nil, nil
	case "string":
		return asSlice(rdb.Get(ctx, key))
	case "hash":
		return flatStrings(ctx, rdb, "HGETALL", key)
	case "list":
		return flatStrings(ctx, rdb, "LRANGE", key, 0, -1)
	case "set":
		return flatStrings(ctx, rdb, "SMEMBERS", key)
	case "zset":
		return flatStrings(ctx, rdb, "ZRANGE", key, 0, -1, "WITHSCORES")
	case "stream":
		return flatStrings(ctx, rdb, "XRANGE", key, "-", "+")
	default:
		return nil, fmt.Errorf("key %q is a %s", key, kind)
	}
}

func asSlice(cmd *redis.StringCmd) ([]string, error) {
	v, err := cmd.Result()
	if err == redis.Nil {
		return nil, nil
	}
	return []string{v}, err
}

func flatStrings(ctx context.Context, rdb *redis.Client, args ...any) ([]string, error) {
	reply, err := rdb.Do(ctx, args...).Result()
	return flatten(nil, reply), err
}

// flatten appends the strings in a reply, however nested.
func flatten(out []string, reply any) []string {
	switch v := reply.(type) {
	case []any:
		for _, e := range v {
			out = flatten(out, e)
		}
	case map[any]any:
		for k, e := range v {
			out = flatten(flatten(out, k), e)
		}
	case string:
		out = append(out, v)
	case int64:
		out = append(out, strconv.FormatInt(v, 10))
	case nil:
	default:
		out = append(out, fmt.Sprint(v))
	}
	return out
}

package storetest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A script is what is stored, as the Redis commands that write it: one a line, in the order of the keys, of fields
// and of members, so that two of them can be compared and a person can read one. A word that is not plain stands
// in Go's quotes. Lines that begin with # are remarks.

// Script writes down everything that a real Redis has. A key's expiry is rounded up to a minute, for it runs while
// the script is written.
func (b *Backend) Script(t testing.TB) []string {
	t.Helper()
	ctx, rdb := context.Background(), b.Client()
	var keys []string
	if err := forEachKey(ctx, rdb, func(key string) error { keys = append(keys, key); return nil }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	var script []string
	for _, key := range keys {
		lines, err := writeKey(ctx, rdb, key)
		if err != nil {
			t.Fatalf("script of %q: %v", key, err)
		}
		script = append(script, lines...)
	}
	return script
}

func writeKey(ctx context.Context, rdb *redis.Client, key string) (lines []string, err error) {
	kind, err := rdb.Type(ctx, key).Result()
	if err != nil {
		return nil, err
	}
	value, err := readValue(ctx, rdb, key)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "string":
		lines = append(lines, Line("SET", key, value[0]))
	case "hash":
		for _, field := range pairs(value) {
			lines = append(lines, Line("HSET", key, field[0], field[1]))
		}
		slices.Sort(lines)
	case "zset":
		for _, member := range pairs(value) {
			lines = append(lines, Line("ZADD", key, member[1], member[0]))
		}
	case "stream":
		entries, err := rdb.XRange(ctx, key, "-", "+").Result()
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			line := []string{"XADD", key, e.ID}
			for field, value := range e.Values {
				line = append(line, field, fmt.Sprint(value))
			}
			lines = append(lines, Line(line...))
		}
	default:
		return nil, fmt.Errorf("it is a %s", kind)
	}
	ttl, err := rdb.PTTL(ctx, key).Result()
	if err == nil && ttl > 0 {
		minutes := (ttl + time.Minute - 1).Truncate(time.Minute)
		lines = append(lines, Line("EXPIRE", key, strconv.FormatInt(int64(minutes/time.Second), 10)))
	}
	return lines, err
}

func pairs(value []string) (pairs [][2]string) {
	for pair := range slices.Chunk(value, 2) {
		pairs = append(pairs, [2]string{pair[0], pair[1]})
	}
	return pairs
}

// Line is one command of a script.
func Line(words ...string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	return strings.Join(quoted, " ")
}

func quote(word string) string {
	plain := func(r rune) bool { return r > ' ' && r <= '~' && !strings.ContainsRune("\"'`\\#", r) }
	switch {
	case word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }):
		return word
	case strconv.CanBackquote(word):
		return "`" + word + "`"
	}
	return strconv.QuoteToASCII(word)
}

// Words are the parts of one command of a script; none for a remark.
func Words(t testing.TB, line string) (words []string) {
	t.Helper()
	for line != "" && !strings.HasPrefix(line, "#") {
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil { // it is plain
			var word string
			word, line, _ = strings.Cut(line, " ")
			words = append(words, word)
			continue
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("script: %s: %v", quoted, err)
		}
		words = append(words, word)
		line = strings.TrimPrefix(line[len(quoted):], " ")
	}
	return words
}

// Play carries out a script.
func (b *Backend) Play(t testing.TB, script []string) {
	t.Helper()
	for _, line := range script {
		words := Words(t, strings.TrimSuffix(line, "\n"))
		args := make([]any, len(words))
		for i, word := range words {
			args[i] = word
		}
		if len(args) == 0 {
			continue
		}
		if err := b.Client().Do(context.Background(), args...).Err(); err != nil {
			t.Fatalf("script: %s: %v", line, err)
		}
	}
}

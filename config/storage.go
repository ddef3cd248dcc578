package config

import "errors"

// Storage is where the data is kept, what seals it there and how durable a change of it must be, for the commands that
// work on Redis themselves. It looks at those settings alone, and fills in no others.
func Storage(src Source) (*Config, []string, error) {
	l := newLoader(src)
	c := &Config{
		RedisURL:         read(l, "redis-url", parseRedisURL),
		RevokeDurability: read(l, "revoke-durability", parseDurability),
		MasterKeys:       read(l, "master-key", parseMasterKeys),
	}
	if !l.given("redis-url") {
		l.mistake("redis-url", errors.New("is required: without it a server keeps its data in its own memory, and there is nothing kept"))
	}
	if !l.given("master-key") {
		l.mistake("master-key", errors.New("is required with Redis"))
	}
	if err := l.err("redis-url", "revoke-durability", "master-key"); err != nil {
		return nil, l.warnings, err
	}
	return c, l.warnings, nil
}

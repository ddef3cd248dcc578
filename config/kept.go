package config

import "errors"

// Kept is where the data is kept and how durable an end of it must be, for the command that ends what a restored Redis
// brought back. It needs no key to do that, and looks at no other setting.
func Kept(src Source) (*Config, []string, error) {
	l := newLoader(src)
	c := &Config{
		RedisURL:         read(l, "redis-url", parseRedisURL),
		RevokeDurability: read(l, "revoke-durability", parseDurability),
	}
	if !l.given("redis-url") {
		l.mistake("redis-url", errors.New("is required: without it a server keeps its data in its own memory, of which there is no backup"))
	}
	if err := l.err("redis-url", "revoke-durability"); err != nil {
		return nil, l.warnings, err
	}
	return c, l.warnings, nil
}

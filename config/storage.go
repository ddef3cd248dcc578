package config

import "errors"

// Storage is where the data is kept, what seals it there, and what must hold before a change of it is done, for the command that
// reseals it. It reads those settings alone, and fills in no others.
func Storage(src Source) (*Config, []string, error) {
	l := newLoader(src)
	c := l.kept()
	c.MasterKeys = read(l, "master-key", parseMasterKeys)
	if !l.given("master-key") {
		l.mistake("master-key", errors.New("is required with Redis"))
	}
	return l.part(c, "redis-url", "revoke-durability", "feed", "master-key")
}

// Kept is Storage without the master keys, for the command that revokes what a restored Redis brought back: it needs no
// keys.
func Kept(src Source) (*Config, []string, error) {
	l := newLoader(src)
	c := l.kept()
	return l.part(c, "redis-url", "revoke-durability", "feed")
}

func (l *loader) kept() *Config {
	if !l.given("redis-url") {
		l.mistake("redis-url", errors.New("is required: without Redis, a server keeps its data in its own memory, which this command cannot reach"))
	}
	return &Config{
		RedisURL:         read(l, "redis-url", redisURL),
		RevokeDurability: read(l, "revoke-durability", parseDurability),
		Feed:             read(l, "feed", parseSwitch),
	}
}

// part is a configuration of these settings alone.
func (l *loader) part(c *Config, settings ...string) (*Config, []string, error) {
	if err := l.err(settings...); err != nil {
		return nil, l.warnings, err
	}
	return c, l.warnings, nil
}

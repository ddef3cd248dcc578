package config

import "errors"

// Reread is c with what the files of _FILE settings hold now: the master keys, the admin tokens and the URL of Redis, for a
// server that runs. A setting that cannot be used stays as it is in c, and is in the error.
func Reread(src Source, c *Config) (*Config, []string, error) {
	l, fresh := newLoader(src), *c
	fresh.RedisURL = reread(l, "redis-url", redisURL, c.RedisURL)
	fresh.MasterKeys = reread(l, "master-key", parseMasterKeys, c.MasterKeys)
	fresh.AdminToken = reread(l, "admin-token", parseAdminToken, c.AdminToken)
	fresh.AdminTokenNext = reread(l, "admin-token-next", parseAdminToken, c.AdminTokenNext)
	if fresh.AdminToken == fresh.AdminTokenNext && fresh.AdminToken != "" {
		l.mistake("admin-token-next", errors.New("must differ from MINTKEEP_ADMIN_TOKEN; both keep their previous values"))
		fresh.AdminToken, fresh.AdminTokenNext = c.AdminToken, c.AdminTokenNext
	}
	return &fresh, l.warnings, l.err("redis-url", "master-key", "admin-token", "admin-token-next")
}

// reread is the value in the file of a setting, or what it was.
func reread[T any](l *loader, flag string, parse func(string) (T, error), was T) T {
	if l.src.Get(l.settings[flag].File()) == "" {
		return was
	}
	value := read(l, flag, parse)
	if _, unusable := l.mistakes[flag]; unusable {
		return was
	}
	return value
}

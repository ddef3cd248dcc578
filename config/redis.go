package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

var redisSchemes = []string{"redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}

// parseRedisURL checks the outline: a known scheme, a host, and a master behind
// Sentinel. The store, which opens it, knows the rest.
func parseRedisURL(s string) (Secret, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if _, err := oneOf(redisSchemes...)(scheme); !ok || err != nil {
		return "", fmt.Errorf("must begin with %s", strings.Join(redisSchemes, "://, ")+"://")
	}
	hosts, path, _ := strings.Cut(rest, "/")
	hosts = hosts[strings.LastIndex(hosts, "@")+1:]
	for host := range strings.SplitSeq(hosts, ",") {
		if u, err := url.Parse("redis://" + host); err != nil || u.Hostname() == "" {
			return "", errors.New("must name a host after the password, in which / ? @ are %2F %3F %40")
		}
	}
	path, _, _ = strings.Cut(path, "?")
	if strings.HasSuffix(scheme, "+sentinel") && path == "" {
		return "", errors.New("must name the master behind Sentinel, as in redis+sentinel://h1,h2/master")
	}
	return Secret(s), nil
}

// hasPassword says whether a Redis URL may carry a password, in its user part or
// in a parameter. When in doubt, it may.
func hasPassword(s string) bool {
	if at := strings.LastIndex(s, "@"); at >= 0 {
		_, user, ok := strings.Cut(s[:at], "://")
		return !ok || strings.Contains(user, ":")
	}
	return strings.Contains(strings.ToLower(s), "password")
}

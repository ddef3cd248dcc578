package redisdb

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Access is what a program does with a Redis, as far as an ACL may forbid it.
type Access struct {
	// Commands are all commands that the program needs, each in a form that does nothing to Probe. The first one writes
	// Probe as a string, with an expiry, so that it has the wrong type for most of the others. Redis checks the ACL
	// before anything else, so that every other error means that the command is allowed. Commands that need a state of
	// their connection come in pairs that leave none. A subcommand is written as ACL SETUSER takes it: "config|get".
	Commands []string
	// Optional are likewise commands without which the program works, and knows less of Redis.
	Optional []string
	// Keys are all keys of the program; what ends with an asterisk is a prefix.
	Keys []string
	// Absent is a key of the program that does not exist, to measure round trips with.
	Absent string
}

// Right is something that an ACL may allow, written as ACL SETUSER takes it: "+hgetall", "~mk:c:*".
type Right struct {
	Rule     string
	Optional bool // without it the program works, and less is known of Redis
}

// namedKeys is how many keys are reported one by one. If more are denied, the report says so of all.
const namedKeys = 5

// denied tries the access, and returns what the ACL denies. In a cluster the node need not have the keys: it checks its
// ACL before it redirects.
func (a Access) denied(ctx context.Context, c redis.Cmdable, clustered bool) ([]Right, error) {
	commands, err := deniedOf(ctx, c, a.Commands, deniesCommand)
	if err != nil {
		return nil, err
	}
	keys, err := deniedOf(ctx, c, a.keyProbes(), deniesKey)
	if err != nil {
		return nil, err
	}
	optional := a.Optional
	if clustered {
		optional = append([]string{"cluster|info"}, optional...)
	}
	useful, err := deniedOf(ctx, c, optional, deniesCommand)
	var missing []Right
	for _, probe := range commands {
		missing = append(missing, Right{Rule: RuleOf(probe)})
	}
	for _, rule := range a.keyRules(keys) {
		missing = append(missing, Right{Rule: rule})
	}
	for _, probe := range useful {
		missing = append(missing, Right{Rule: RuleOf(probe), Optional: true})
	}
	return missing, err
}

// keyRules are the rules for the keys whose probes were denied.
func (a Access) keyRules(denied []string) []string {
	if len(denied) > namedKeys {
		prefix, _, _ := strings.Cut(a.Absent, ":")
		return []string{"~" + prefix + ":*"}
	}
	var rules []string
	for _, probe := range denied {
		rules = append(rules, "~"+strings.Replace(strings.TrimPrefix(probe, "persist "), anyKey, "*", 1))
	}
	return rules
}

// anyKey stands in probes for what follows a prefix.
const anyKey = "doctor"

// keyProbes ask, of each key, for the right to read and to write it. PERSIST takes an expiry away: keys without one do
// not change, and of the others it names one that does not exist.
func (a Access) keyProbes() []string {
	var list []string
	for _, key := range a.Keys {
		if prefix, ok := strings.CutSuffix(key, "*"); ok {
			key = prefix + anyKey
		}
		list = append(list, "persist "+key)
	}
	return list
}

// deniedOf sends the probes in one pipeline, and returns those that the ACL denies. An error: they were not answered.
func deniedOf(ctx context.Context, c redis.Cmdable, probes []string, denies func(error) bool) ([]string, error) {
	cmds := make([]*redis.Cmd, len(probes))
	_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
		for i, probe := range probes {
			cmds[i] = redis.NewCmd(ctx, words(probe)...)
			_ = p.Process(ctx, cmds[i])
		}
		return nil
	})
	var no []string
	for i, cmd := range cmds {
		switch err := cmd.Err(); {
		case err != nil && !errors.Is(err, redis.Nil) && ErrorPrefix(err) == "":
			return nil, Unavailable("try the rights", err)
		case denies(err):
			no = append(no, probes[i])
		}
	}
	return no, nil
}

// words are the arguments of a probe.
func words(probe string) []any {
	var args []any
	for i, word := range strings.Fields(probe) {
		if i > 0 {
			args = append(args, word)
			continue
		}
		for part := range strings.SplitSeq(word, "|") {
			args = append(args, part)
		}
	}
	return args
}

// RuleOf is the rule that allows the command of a probe.
func RuleOf(probe string) string {
	command, _, _ := strings.Cut(probe, " ")
	return "+" + command
}

// Redis checks the command first, then its keys. EXEC answers EXECABORT, and then why.
func deniesCommand(err error) bool { return noPermission(err) && !aboutKeys(err) }
func deniesKey(err error) bool     { return noPermission(err) && aboutKeys(err) }

func noPermission(err error) bool {
	return ErrorPrefix(err) == "NOPERM" || ErrorPrefix(err) == "EXECABORT" && strings.Contains(err.Error(), "NOPERM")
}

func aboutKeys(err error) bool {
	return strings.Contains(err.Error(), "one of the keys") || strings.Contains(err.Error(), "access a key")
}

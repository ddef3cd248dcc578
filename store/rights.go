package store

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Right is something that an ACL may allow, written as ACL SETUSER takes it: "+hgetall", "~mk:c:*".
type Right struct {
	Rule     string
	Optional bool // without it the service works, and less is known of Redis
}

// probeKey is written to find out what may be done, for probeLife at most.
const (
	probeKey  = "mk:doctor"
	probeLife = "10000" // milliseconds
)

// namedKeys is how many keys are denied one by one; if there are more, it is said of all.
const namedKeys = 5

// trials are all commands that a Store sends, each in a form that does nothing: after the first, the probe key
// is a string, and has the wrong type for most of them. Redis asks the ACL before it looks at anything else, so
// that every other complaint means that the command is allowed. Those that need their own connection's state come
// in pairs that leave none.
var trials = []string{
	"set mk:doctor x px " + probeLife,
	"exists mk:doctor", "get mk:doctor", "pttl mk:doctor", "strlen mk:doctor",
	"hget mk:doctor f", "hgetall mk:doctor", "hmget mk:doctor f", "hexists mk:doctor f", "hstrlen mk:doctor f",
	"zcard mk:doctor", "zcount mk:doctor 0 0", "zrange mk:doctor 0 0", "zrangebyscore mk:doctor 0 0",
	"xrevrange mk:doctor + - count 1",
	"hset mk:doctor f v", "hsetnx mk:doctor f v", "hdel mk:doctor f", "hincrby mk:doctor f 1", "incr mk:doctor",
	"zadd mk:doctor 0 m", "zrem mk:doctor m", "zremrangebyscore mk:doctor 0 0", "xadd mk:doctor * f v",
	"persist mk:doctor", "expire mk:doctor 10", "pexpire mk:doctor " + probeLife, "del mk:doctor",
	"watch mk:doctor", "unwatch", "multi", "exec",
}

// optionalTrials are for the settings, and the eyes, that need them.
var optionalTrials = []string{"info server", "config|get appendfsync", "time", "wait 0 0"}

// ourKeys are the keys of the table in doc.go; what ends with an asterisk is a prefix.
var ourKeys = []string{
	"mk:c:*", "mk:clients:id", "mk:clients:name", "mk:secrets", "mk:p:*", "mk:e:*", "mk:users:id", "mk:users:name",
	"mk:t:*", "mk:k:*", "mk:pk:*", "mk:pl:*", "mk:keys:id", "mk:keys:name", "mk:keys:live", "mk:keys:due",
	"mk:u:*", "mk:ku:*", "mk:kd:*", "mk:s:*", "mk:ps:*", "mk:o:*", "mk:n:*", "mk:r:*", "mk:f:*",
	"mk:signing-keys", "mk:signing-keys:claim:*", "mk:audit", "mk:refusals", "mk:epoch", "mk:epoch:*", "mk:fence", "mk:ping",
}

// denied tries what a Store does, and returns what the ACL refuses. In a cluster, the node need not have the
// keys: it asks its ACL before it sends us to another.
func denied(ctx context.Context, c redis.Cmdable, clustered bool) ([]Right, error) {
	commands, err := deniedOf(ctx, c, trials, deniesCommand)
	if err != nil {
		return nil, err
	}
	keys, err := deniedOf(ctx, c, keyTrials(), deniesKey)
	if err != nil {
		return nil, err
	}
	optional := optionalTrials
	if clustered {
		optional = append([]string{"cluster|info"}, optional...)
	}
	useful, err := deniedOf(ctx, c, optional, deniesCommand)
	var missing []Right
	for _, trial := range commands {
		missing = append(missing, Right{Rule: ruleOf(trial)})
	}
	for _, rule := range keyRules(keys) {
		missing = append(missing, Right{Rule: rule})
	}
	for _, trial := range useful {
		missing = append(missing, Right{Rule: ruleOf(trial), Optional: true})
	}
	return missing, err
}

// keyRules are for the keys of trials that were denied.
func keyRules(denied []string) []string {
	if len(denied) > namedKeys {
		return []string{"~mk:*"}
	}
	var rules []string
	for _, trial := range denied {
		rules = append(rules, "~"+strings.Replace(strings.TrimPrefix(trial, "persist "), anyKey, "*", 1))
	}
	return rules
}

// anyKey stands in trials for whatever follows a prefix.
const anyKey = "doctor"

// keyTrials ask, of each of our keys, for the right to read and to write it. PERSIST takes an expiry away: keys
// that live for ever have none, and of the others it asks after one that is not there.
func keyTrials() []string {
	var list []string
	for _, key := range ourKeys {
		if strings.HasSuffix(key, "*") {
			key = strings.TrimSuffix(key, "*") + anyKey
		}
		list = append(list, "persist "+key)
	}
	return list
}

// deniedOf sends the trials in one go, and returns those that the ACL denies. An error: they were not answered.
func deniedOf(ctx context.Context, c redis.Cmdable, list []string, denies func(error) bool) ([]string, error) {
	cmds := make([]*redis.Cmd, len(list))
	_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
		for i, trial := range list {
			cmds[i] = redis.NewCmd(ctx, words(trial)...)
			_ = p.Process(ctx, cmds[i])
		}
		return nil
	})
	var no []string
	for i, cmd := range cmds {
		switch err := cmd.Err(); {
		case err != nil && !errors.Is(err, redis.Nil) && Refusal(err) == "":
			return nil, unavailable("try the rights", err)
		case denies(err):
			no = append(no, list[i])
		}
	}
	return no, nil
}

// words are the arguments of a command; a subcommand is written as the ACL does, config|get.
func words(trial string) []any {
	var args []any
	for i, word := range strings.Fields(trial) {
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

func ruleOf(trial string) string {
	command, _, _ := strings.Cut(trial, " ")
	return "+" + command
}

// A command that is allowed may be denied its key; Redis looks at the command first. EXEC says EXECABORT, and then why.
func deniesCommand(err error) bool { return noPermission(err) && !aboutKeys(err) }
func deniesKey(err error) bool     { return noPermission(err) && aboutKeys(err) }

func noPermission(err error) bool {
	return Refusal(err) == "NOPERM" || Refusal(err) == "EXECABORT" && strings.Contains(err.Error(), "NOPERM")
}

func aboutKeys(err error) bool {
	return strings.Contains(err.Error(), "one of the keys") || strings.Contains(err.Error(), "access a key")
}

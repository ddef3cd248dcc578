package redisdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/config"
)

// ErrDurability: this Redis, as it is set up, cannot give what [Options.Durability] asks for. The message says what is
// missing and how to fix it.
var ErrDurability = errors.New("durability is not guaranteed by this Redis")

// shortfall is ErrDurability in words: what is needed, what a server has, and the fix.
type shortfall struct{ needs, has, fix string }

// of makes an error of it that names the setting, and the server if it is one of several.
func (f *shortfall) of(d config.Durability, server string) error {
	return shortfallError("MINTKEEP_REVOKE_DURABILITY=" + d.String() + " needs " + f.needs + ", and " + server + " " + f.has + ": " + f.fix)
}

type shortfallError string

func (e shortfallError) Error() string { return string(e) }

func (e shortfallError) Is(target error) bool { return target == ErrDurability }

// CheckDurability says beforehand whether Redis can give what [Options.Durability] asks for: nil, ErrUnavailable if it
// could not be asked, or ErrDurability. Where Redis's own answer is enough, it asks nothing. Every barrier asks again:
// the settings may change.
func (db *DB) CheckDurability(ctx context.Context) error {
	if !db.NeedsBarrier(ctx) {
		return nil
	}
	shortfallOf := db.replicasShortfall
	if db.durability.Fsync {
		shortfallOf = db.fsyncShortfall
	}
	err := db.EachPrimary(ctx, func(ctx context.Context, node *redis.Client) error {
		found, err := shortfallOf(ctx, node)
		if err != nil || found == nil {
			return err
		}
		server := "this Redis"
		if db.IsCluster() {
			server += " at " + node.Options().Addr
		}
		return found.of(db.durability, server)
	})
	if errors.Is(err, ErrDurability) {
		return err
	}
	return Unavailable("check durability", err)
}

// fsyncShortfall checks the settings of a server.
func (db *DB) fsyncShortfall(ctx context.Context, node *redis.Client) (*shortfall, error) {
	settings := settingsBarrier(ctx)
	err := node.Process(ctx, settings.cmd)
	switch prefix := ErrorPrefix(err); {
	case err != nil && prefix == "":
		return nil, err
	case prefix == "NOPERM":
		return &shortfall{"the right to CONFIG GET", "denies it", "ACL SETUSER " + cmp.Or(db.target.user, "default") + " +config|get"}, nil
	case prefix != "":
		return &shortfall{"to see appendonly and appendfsync", "rejects CONFIG GET", "set it to replicas:N or ack, or use another Redis"}, nil
	case settings.lacks() != "":
		return &shortfall{"appendonly yes and appendfsync always", "has " + settings.lacks(), fixOf(settings.lacks())}, nil
	}
	return nil, nil
}

// fixOf turns "appendfsync everysec" into the commands that set the right value.
func fixOf(lacks string) string {
	var commands []string
	for lack := range strings.SplitSeq(lacks, ", ") {
		name, _, _ := strings.Cut(lack, " ")
		commands = append(commands, "CONFIG SET "+name+" "+alwaysNeeds[name])
	}
	return strings.Join(commands, ", ") + ", and write it to redis.conf"
}

// replicasShortfall counts the replicas that are connected. Whether they answer is seen at every barrier.
func (db *DB) replicasShortfall(ctx context.Context, node *redis.Client) (*shortfall, error) {
	wanted := db.durability.Replicas
	found := &shortfall{fmt.Sprintf("%d connected replicas", wanted), "", "start another (REPLICAOF), or set a smaller N"}
	if wanted == 1 {
		found.needs, found.fix = "a connected replica", "start one (REPLICAOF), or set it to ack"
	}
	info, err := node.Info(ctx, "replication").Result()
	if ErrorPrefix(err) == "NOPERM" {
		return found.unlessConfirmed(ctx, node, wanted)
	}
	if err != nil {
		return nil, err
	}
	got := 0
	for name, value := range infoFields(info) {
		if strings.HasPrefix(name, "slave") && strings.Contains(value, "state=online") {
			got++
		}
	}
	if got >= wanted {
		return nil, nil
	}
	found.has = fmt.Sprintf("has %d", got)
	return found, nil
}

// unlessConfirmed counts the replicas that answer WAIT, for a server whose ACL denies INFO.
func (f *shortfall) unlessConfirmed(ctx context.Context, node *redis.Client, wanted int) (*shortfall, error) {
	b := replicasBarrier(ctx, wanted, within(ctx, replicasTimeout))
	err := send(ctx, node, redis.NewStatusCmd(ctx, "ping"), b.cmd)
	if err != nil || b.lacks() == "" {
		return nil, err
	}
	f.has = fmt.Sprintf("has %d that answer", b.cmd.(*redis.IntCmd).Val())
	return f, nil
}

// KeepsLog says whether Redis keeps an append-only file, without which a crash undoes what happened since the last
// snapshot. Of a cluster, every primary must. ErrUnavailable if it may not be asked.
func (db *DB) KeepsLog(ctx context.Context) (bool, error) {
	errWithout := errors.New("without")
	err := db.EachPrimary(ctx, func(ctx context.Context, node *redis.Client) error {
		info, err := node.Info(ctx, "persistence").Result()
		if err == nil && infoFields(info)["aof_enabled"] == "0" {
			err = errWithout
		}
		return err
	})
	if errors.Is(err, errWithout) {
		return false, nil
	}
	return err == nil, Unavailable("look for the append-only file", err)
}

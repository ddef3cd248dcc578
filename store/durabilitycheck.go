package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrDurability: this Redis, as it is set up, cannot give what [Options.Durability] asks for. The message says what
// is missing and what mends it.
var ErrDurability = errors.New("durability cannot be had")

// shortfall is ErrDurability in words: what is needed, what a server has, and what mends it.
type shortfall struct{ needs, has, mend string }

// of makes an error of it that names the setting, and the server if it is one of several.
func (f *shortfall) of(d Durability, server string) error {
	return lackingError("MINTKEEP_REVOKE_DURABILITY=" + d.String() + " needs " + f.needs + ", and " + server + " " + f.has + ": " + f.mend)
}

type lackingError string

func (e lackingError) Error() string { return string(e) }

func (e lackingError) Is(target error) bool { return target == ErrDurability }

// CheckDurability says beforehand whether Redis can give what [Options.Durability] asks for: nil, ErrUnavailable if
// it could not be asked, or ErrDurability. Where Redis's own answer is enough, it asks nothing. Every end looks again:
// what holds now may not hold for ever.
func (s *Store) CheckDurability(ctx context.Context) error {
	if !s.confirms(ctx) {
		return nil
	}
	look := s.replicasShortfall
	if s.durability.Fsync {
		look = s.diskShortfall
	}
	err := s.eachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		found, err := look(ctx, node)
		if err != nil || found == nil {
			return err
		}
		server := "this Redis"
		if s.target.kind == cluster {
			server += " at " + node.Options().Addr
		}
		return found.of(s.durability, server)
	})
	if errors.Is(err, ErrDurability) {
		return err
	}
	return unavailable("check durability", err)
}

// diskShortfall looks at the settings, and waits for the disk where they are not enough.
func (s *Store) diskShortfall(ctx context.Context, node *redis.Client) (*shortfall, error) {
	settings := settingsProof(ctx)
	err := node.Process(ctx, settings.cmd)
	refused := Refusal(err) // the word with which CONFIG GET is
	if err != nil && refused == "" {
		return nil, err
	}
	if refused == "" && settings.lacks() == "" {
		s.waitsForDisk.Store(false)
		return nil, nil
	}
	wait := diskProof(ctx, within(ctx, diskPatience))
	sent := send(ctx, wait.through(node), redis.NewStatusCmd(ctx, "ping"), wait.cmd)
	switch {
	case sent != nil && Refusal(sent) == "":
		return nil, sent
	case sent == nil && wait.lacks() == "":
		s.waitsForDisk.Store(true)
		return nil, nil
	case refused == "NOPERM":
		return &shortfall{"the right to CONFIG GET", "refuses it", "ACL SETUSER " + cmp.Or(s.target.user, "default") + " +config|get"}, nil
	case refused != "":
		return &shortfall{
			"to see appendonly and appendfsync", "refuses CONFIG GET and has no WAITAOF",
			"ask for replicas:N or ack, or for another Redis",
		}, nil
	}
	return &shortfall{"appendonly yes and appendfsync always", "has " + settings.lacks(), mend(settings.lacks())}, nil
}

// mend turns "appendfsync everysec" into what sets it right.
func mend(lacks string) string {
	var commands []string
	for lack := range strings.SplitSeq(lacks, ", ") {
		name, _, _ := strings.Cut(lack, " ")
		commands = append(commands, "CONFIG SET "+name+" "+alwaysNeeds[name])
	}
	return strings.Join(commands, ", ") + ", and write it to redis.conf"
}

// replicasShortfall counts the replicas that are connected. Whether they answer is seen at every end.
func (s *Store) replicasShortfall(ctx context.Context, node *redis.Client) (*shortfall, error) {
	wanted := s.durability.Replicas
	found := &shortfall{fmt.Sprintf("%d connected replicas", wanted), "", "start another (REPLICAOF), or ask for fewer"}
	if wanted == 1 {
		found.needs, found.mend = "a connected replica", "start one (REPLICAOF), or set it to ack"
	}
	info, err := node.Info(ctx, "replication").Result()
	if Refusal(err) == "NOPERM" {
		return found.unlessProven(ctx, node, wanted)
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

// unlessProven has the replicas answer, where they may not be counted.
func (f *shortfall) unlessProven(ctx context.Context, node *redis.Client, wanted int) (*shortfall, error) {
	p := replicasProof(ctx, wanted, within(ctx, replicasPatience))
	err := send(ctx, node, redis.NewStatusCmd(ctx, "ping"), p.cmd)
	if err != nil || p.lacks() == "" {
		return nil, err
	}
	f.has = fmt.Sprintf("has %d that answer", p.cmd.(*redis.IntCmd).Val())
	return f, nil
}

// KeepsLog says whether Redis keeps an append-only file, without which a crash undoes what happened since the last
// snapshot. Of a cluster, every master must. ErrUnavailable if it may not be asked.
func (s *Store) KeepsLog(ctx context.Context) (bool, error) {
	errWithout := errors.New("without")
	err := s.eachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		info, err := node.Info(ctx, "persistence").Result()
		if err == nil && infoFields(info)["aof_enabled"] == "0" {
			err = errWithout
		}
		return err
	})
	if errors.Is(err, errWithout) {
		return false, nil
	}
	return err == nil, unavailable("look for the append-only file", err)
}

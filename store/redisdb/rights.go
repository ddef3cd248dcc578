package redisdb

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrRights: the ACL of this Redis denies something. The message is the command that allows it.
var ErrRights = errors.New("the ACL of Redis denies what is needed")

// rightsError is ErrRights in words.
type rightsError string

func (e rightsError) Error() string { return string(e) }

func (e rightsError) Is(target error) bool { return target == ErrRights }

// CheckRights says beforehand whether the ACL allows the access: nil, ErrRights, whose message is the ACL command to run, or
// ErrUnavailable if it could not be tried.
func (db *DB) CheckRights(ctx context.Context, a Access) error {
	err := db.EachPrimary(ctx, func(ctx context.Context, node *redis.Client) error {
		missing, err := a.denied(ctx, node, false)
		if err != nil || len(missing) == 0 {
			return err
		}
		rules := make([]string, len(missing))
		for i, right := range missing {
			rules[i] = right.Rule
		}
		return rightsError("ACL SETUSER " + cmp.Or(db.target.user, "default") + " " + strings.Join(rules, " "))
	})
	if errors.Is(err, ErrRights) {
		return err
	}
	return Unavailable("try the rights", err)
}

package redisdb

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// unanswered gives every command of a pipeline that was never sent an error. The client does so itself, but for one
// case: Redis rejects the new connection that the pipeline was meant for, with an answer such as WRONGPASS, or that
// it has too many clients. Then the pipeline as a whole has that error and no command has any, and an empty answer
// without an error reads as "not there", or as "saved".
type unanswered struct{}

func (unanswered) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (unanswered) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (unanswered) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if err == nil {
			return nil
		}
		for _, cmd := range cmds {
			if cmd.Err() != nil { // Redis has answered, and each command has its own error
				return err
			}
		}
		for _, cmd := range cmds {
			cmd.SetErr(err)
		}
		return err
	}
}

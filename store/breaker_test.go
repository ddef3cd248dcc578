package store_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// answersAnyway are the methods that an open breaker does not reject, and why.
var answersAnyway = []string{
	"Close", "Flush", // of nothing that was noted
	"CheckDurability", "Confirm", "ConfirmRevoked", "ConfirmUnknown", // ask nothing with the durability ack
	"CheckKill",          // asks on connections of its own
	"CheckFeed",          // asks nothing without a feed
	"ReplaceCredentials", // rejects the sample
	"Recorded",           // asks nothing about no event
	"ReplaceKeyring",     // rejects the sample
	"Leave", "Heartbeat", // find out
}

// An open breaker rejects every method.
func TestOpenBreakerRejectsEveryMethod(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b, ctx := srv.Backend(t), t.Context()
	s := b.Open(t)
	s.Heartbeat(ctx)
	s.Heartbeat(ctx)
	b.Do("FLUSHALL")
	s.Heartbeat(ctx)
	wantErr(t, "emptied", s.Ping(ctx), store.ErrQuarantined)

	methods, tried := reflect.TypeOf(s), 0
	for i := range methods.NumMethod() {
		m := methods.Method(i)
		if !canFail(m.Type) || slices.Contains(answersAnyway, m.Name) {
			continue
		}
		tried++
		args := []reflect.Value{reflect.ValueOf(s)}
		for n := 1; n < m.Type.NumIn(); n++ {
			args = append(args, sample(ctx, b, m.Type.In(n)))
		}
		results := m.Func.Call(args)
		err, _ := results[len(results)-1].Interface().(error)
		if !errors.Is(err, store.ErrQuarantined) || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrBehind, which matches ErrUnavailable", m.Name, err)
		}
	}
	if tried < 50 {
		t.Errorf("only %d methods were tried", tried)
	}
	if d := b.Dump(t); len(d) > 0 {
		t.Errorf("%q were written", d.Keys())
	}
}

// meanwhile is a hook that does something while a command is under way.
type meanwhile func()

func (f meanwhile) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f meanwhile) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "exists" {
			f()
		}
		return next(ctx, cmd)
	}
}

func (f meanwhile) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "del" {
			f()
		}
		return next(ctx, cmds)
	}
}

// An answer that arrives after the breaker has opened is rejected.
func TestBreakerOpensDuringACommand(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(context.Context, *store.Store) error{
		"a command": func(ctx context.Context, s *store.Store) error { return s.Ping(ctx) },
		"a pipeline": func(ctx context.Context, s *store.Store) error {
			return s.RevokeToken(ctx, store.DigestOf("x"), store.Cause{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, ctx := storetest.Redis(t).Backend(t), t.Context()
			var s *store.Store
			s = b.Open(t, func(o *store.Options) {
				o.Instrument = func(rdb redis.UniversalClient) {
					rdb.AddHook(meanwhile(func() { b.Do("FLUSHALL"); s.Heartbeat(ctx) }))
				}
			})
			s.Heartbeat(ctx)
			s.Heartbeat(ctx)
			wantErr(t, "the answer", ask(ctx, s), store.ErrQuarantined)
		})
	}
}

func canFail(f reflect.Type) bool {
	n := f.NumOut()
	return n > 0 && f.Out(n-1) == reflect.TypeFor[error]()
}

// sample is a value with which every method asks Redis.
func sample(ctx context.Context, b *storetest.Backend, t reflect.Type) reflect.Value {
	switch {
	case t == reflect.TypeFor[context.Context]():
		return reflect.ValueOf(ctx)
	case t == reflect.TypeFor[time.Time]():
		return reflect.ValueOf(b.Clock.Now().Add(time.Hour))
	case t.Kind() == reflect.Pointer:
		v := reflect.New(t.Elem())
		for _, name := range []string{"ID", "UserID"} {
			if v.Elem().Kind() == reflect.Struct && v.Elem().FieldByName(name).IsValid() {
				v.Elem().FieldByName(name).SetString("a")
			}
		}
		return v
	case t == reflect.TypeFor[store.Owned]():
		return reflect.ValueOf(store.Owned{ClientID: "a"})
	case t.Kind() == reflect.Slice:
		return reflect.Append(reflect.MakeSlice(t, 0, 1), sample(ctx, b, t.Elem()))
	case t.Kind() == reflect.String:
		return reflect.ValueOf("a").Convert(t)
	case t.Kind() == reflect.Int:
		return reflect.ValueOf(1).Convert(t)
	case t.Kind() == reflect.Func: // it does nothing
		return reflect.MakeFunc(t, func([]reflect.Value) (zero []reflect.Value) {
			for i := range t.NumOut() {
				zero = append(zero, reflect.Zero(t.Out(i)))
			}
			return zero
		})
	}
	return reflect.Zero(t)
}

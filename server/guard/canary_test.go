//go:build go1.25

package guard_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mintkeep/mintkeep/server/guard"
)

// No credential that was presented is in a log line, in a refusal, in the statistics, in what Observe is told, or in what the
// guard remembers.
func TestCredentialsAreNotKept(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	var told []guard.Event
	bubble(t, func(t *testing.T, s *service, _ *faults) {
		good, key, gone := s.m.Token("billing", orders, "read"), s.m.Key("ada", orders, "read"), s.m.Key("bob", orders, "read")
		for _, c := range []string{good, key, gone} {
			s.want("/read", c, http.StatusOK)
		}
		s.m.Revoke(gone)
		s.m.Settle(s.g)
		presented := []string{
			good, key, gone, "mk_" + strings.Repeat("a", 46), good + "x", s.m.Token("billing", "https://other.example.com", "read"),
			s.m.Sign(map[string]any{"iss": "https://evil.example.com"}),
		}
		var errs strings.Builder
		for _, c := range presented {
			_, err := s.g.Check(t.Context(), guard.Presented{Authorization: []string{"Bearer " + c}}, guard.Scope("read"))
			_, _ = fmt.Fprintf(&errs, "%v %+v\n", err, err)
		}
		s.get("/read", good)
		synctest.Wait()
		var kept strings.Builder
		contents(&kept, reflect.ValueOf(s.g), map[any]bool{})
		if !strings.Contains(kept.String(), "billing") || !strings.Contains(kept.String(), "ada") {
			t.Fatal("the guard remembers nothing: this test does not see it")
		}
		for _, c := range append(presented, "the-secret-of-the-guard") {
			for where, text := range map[string]string{
				"the log": log.String(), "a refusal": errs.String(), "the statistics": fmt.Sprintf("%+v", s.g.Stats()), "an event": fmt.Sprintf("%+v", told),
				"memory": strings.ReplaceAll(kept.String(), "the-secret-of-the-guard-in-tests", ""),
			} {
				if strings.Contains(text, c) || len(c) > 100 && strings.Contains(text, c[len(c)-50:]) {
					t.Errorf("%s has %s", where, c)
				}
			}
		}
	}, func(c *guard.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.Observe = func(e guard.Event) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, e)
		}
	})
}

// contents writes every string and every slice of bytes that can be reached from a value, but for what belongs to the standard
// library and to go-jose.
func contents(to *strings.Builder, v reflect.Value, seen map[any]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || seen[v.Pointer()] {
			return
		}
		seen[v.Pointer()] = true
		contents(to, v.Elem(), seen)
	case reflect.Interface:
		contents(to, v.Elem(), seen)
	case reflect.Struct:
		if path := v.Type().PkgPath(); path != "" && !strings.HasSuffix(path, "server/guard") && path != "sync/atomic" {
			return
		}
		for i := range v.NumField() {
			contents(to, v.Field(i), seen)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			contents(to, it.Key(), seen)
			contents(to, it.Value(), seen)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			for i := range v.Len() {
				to.WriteByte(byte(v.Index(i).Uint()))
			}
			to.WriteByte('\n')
			return
		}
		for i := range v.Len() {
			contents(to, v.Index(i), seen)
		}
	case reflect.String:
		to.WriteString(v.String() + "\n")
	default:
	}
}

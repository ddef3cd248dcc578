package server

import (
	"context"
	"strings"

	"github.com/mintkeep/mintkeep/config"
)

// Reload reads the certificate and the roots for fetching keys again, and takes over from fresh what can change while the
// server runs: the admin tokens, the master keys, and user and password of Redis. Requests that are under way go on as they
// began. What cannot be used leaves the old in place, and is logged as an error that names the setting. kept are the settings
// for which the caller has logged one: fresh has their previous values.
func (s *Server) Reload(ctx context.Context, fresh *config.Config, kept ...string) {
	var changed []string
	report := func(setting string, replaced bool, err error) {
		switch {
		case err != nil:
			s.options.Logger.ErrorContext(ctx, setting+" cannot be used; the previous value stays in use", "error", err)
			kept = append(kept, setting)
		case replaced:
			changed = append(changed, setting)
		}
	}
	if s.certificate != nil {
		replaced, err := s.certificate.reload()
		report("MINTKEEP_TLS_CERT", replaced, err)
	}
	roots, err := s.remoteKeys.Reload()
	report("MINTKEEP_FETCH_CA", roots, err)
	tokens := s.adminTokens.replace(fresh)
	report("MINTKEEP_ADMIN_TOKEN", tokens[0], nil)
	report("MINTKEEP_ADMIN_TOKEN_NEXT", tokens[1], nil)
	replaced, err := s.options.Ring.ReplaceMasterKeys(ctx, fresh.MasterKeys)
	report("MINTKEEP_MASTER_KEY", replaced, err)
	replaced, err = s.options.Store.ReplaceCredentials(ctx, fresh.RedisURL.Reveal())
	report("MINTKEEP_REDIS_URL", replaced, err)
	if len(changed) == 0 {
		changed = []string{"nothing"}
	}
	if len(kept) > 0 {
		s.options.Logger.WarnContext(ctx, "not everything could be reloaded", "changed", strings.Join(changed, " "), "kept", strings.Join(kept, " "))
		return
	}
	s.options.Logger.InfoContext(ctx, "reloaded the certificate and the settings in files", "changed", strings.Join(changed, " "))
}

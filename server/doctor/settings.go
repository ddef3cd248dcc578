package doctor

import (
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/config"
)

// settings are the configuration's warnings, each under the name of its setting, and a line on two settings that
// operators look for.
func settings(cfg *config.Config, warnings []string) []Check {
	var checks []Check
	for _, warning := range warnings {
		checks = append(checks, Check{Name: settingOf(warning), State: Warn, Found: warning})
	}
	if !slices.ContainsFunc(checks, func(c Check) bool { return c.Name == "issuer" }) {
		checks = append(checks, Check{Name: "issuer", State: OK, Found: cfg.Issuer})
	}
	if cfg.SeparateAdmin() && !slices.ContainsFunc(checks, func(c Check) bool { return c.Name == "admin url" }) {
		checks = append(checks, Check{Name: "admin url", State: OK, Found: cfg.AdminURL + ": /admin and the pages for operators"})
	}
	if cfg.Embedded() {
		return checks
	}
	token := Check{Name: "admin token", State: OK, Found: "off: operators use a client or an API key of their own"}
	if cfg.AdminToken != "" {
		token.Found = "set: it may do everything; it is meant for the first setup"
	}
	if cfg.AdminTokenNext != "" {
		token.Found += "; MINTKEEP_ADMIN_TOKEN_NEXT is accepted too"
	}
	return append(checks, token)
}

// settingOf names the setting that a warning begins with: MINTKEEP_TLS_KEY is "tls key".
func settingOf(warning string) string {
	name, ok := strings.CutPrefix(warning, "MINTKEEP_")
	if !ok {
		return "settings"
	}
	name, _, _ = strings.Cut(name, " ")
	return strings.ToLower(strings.ReplaceAll(strings.TrimRight(name, ":,;"), "_", " "))
}

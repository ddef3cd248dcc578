package main

import (
	"errors"
	"fmt"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/credential"
)

// keyRules prints what scanners need to know.
type keyRules struct {
	Format string `enum:"regex,gitleaks,trufflehog" default:"regex" placeholder:"FORMAT" help:"regex (RE2), gitleaks (a configuration in TOML) or trufflehog (one in YAML). Default: regex."`
	Prefix string `placeholder:"PREFIX" help:"Prefix of the credentials. Default: MINTKEEP_KEY_PREFIX, else mk."`
}

// Help tells of the use of each format, and of the environment.
func (*keyRules) Help() string {
	return `Calls no server.

    mintkeep key rules --format gitleaks   >.gitleaks.toml
    mintkeep key rules --format trufflehog >trufflehog.yaml
    trufflehog filesystem --config=trufflehog.yaml .

Environment:

    MINTKEEP_KEY_PREFIX  the prefix, as the server has it`
}

const gitleaksRules = `# Finds Mintkeep's API keys, client secrets and opaque access tokens.
# Works as .gitleaks.toml. If there is one already, it needs the part from [[rules]] on.
title = "Mintkeep"

[extend]
useDefault = true

[[rules]]
id = "mintkeep-%[1]s"
description = "Mintkeep API key, client secret or access token"
regex = '''%[2]s'''
entropy = 3.5
keywords = ["%[1]s_", "%[1]ss_", "%[1]st_"]
`

const trufflehogRules = `# Finds Mintkeep's API keys, client secrets and opaque access tokens.
detectors:
  - name: mintkeep-%[1]s
    description: Mintkeep API key, client secret or access token
    keywords: ["%[1]s_", "%[1]ss_", "%[1]st_"]
    regex:
      credential: '%[2]s'
    entropy: 3.5
`

// Run prints the rules.
func (c *keyRules) Run(p process) error {
	brand, err := c.brand(p)
	if err != nil {
		return err
	}
	format := map[string]string{"regex": "%[2]s\n", "gitleaks": gitleaksRules, "trufflehog": trufflehogRules}[c.Format]
	_, err = fmt.Fprintf(p.stdout, format, brand, credential.Pattern(brand))
	return err
}

// brand reads the prefix as the server does, from the flag or from the
// environment.
func (c *keyRules) brand(p process) (string, error) {
	const variable = "MINTKEEP_KEY_PREFIX"
	flags, given := map[string]string{}, config.Source{Environ: p.environ}.Get(variable)
	if c.Prefix != "" {
		flags["key-prefix"] = c.Prefix
	}
	cfg, _, err := config.Load(config.Source{Flags: flags, Environ: []string{variable + "=" + given}})
	if wrong := (*config.Error)(nil); errors.As(err, &wrong) && c.Prefix != "" {
		return "", usagef("--prefix %s", wrong.Mistakes[0].Problem)
	}
	if err != nil {
		return "", usageError{err}
	}
	return cfg.KeyPrefix, nil
}

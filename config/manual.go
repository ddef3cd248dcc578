package config

import (
	"fmt"
	"strings"
)

// Table renders the settings as a Markdown table, for the README.
func Table() string {
	var b strings.Builder
	b.WriteString("| setting | default | meaning |\n| --- | --- | --- |\n")
	for _, s := range Settings() {
		name := code(s.Name)
		if s.Secret {
			name += " or " + code("_FILE")
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, s.defaults(code), strings.ReplaceAll(s.Help, "|", `\|`))
	}
	return b.String()
}

// Help explains where settings come from and lists those without a flag, for
// serve --help; the flags are listed by the command line parser.
func Help() string {
	var b strings.Builder
	b.WriteString("Every flag has an environment variable: --token-ttl is MINTKEEP_TOKEN_TTL. The flag takes precedence. ")
	b.WriteString("A secret comes from a variable, or from the file whose path is in the variable with _FILE at its end. ")
	b.WriteString("On SIGHUP the server reads these files and the certificate again. ")
	b.WriteString("Traces are set up by the variables of OpenTelemetry (OTEL_…); docs/operations.md lists them.\n\nSecrets:\n")
	for _, s := range Settings() {
		if !s.Secret {
			continue
		}
		fmt.Fprintf(&b, "\n    %s, %s\n", s.Name, s.File())
		for _, line := range wrap(s.explained(), 70) {
			fmt.Fprintf(&b, "        %s\n", line)
		}
	}
	return b.String()
}

// explained is the meaning and the default, for a terminal.
func (s Setting) explained() string { return s.Help + " Default: " + s.defaults(plain) + "." }

// defaults is the default in words.
func (s Setting) defaults(literal func(string) string) string {
	switch {
	case s.Embedded != "":
		return literal(s.Embedded) + " embedded, " + literal(s.Default) + " with Redis"
	case s.Default != "":
		return literal(s.Default)
	}
	return s.Absent
}

func plain(s string) string { return s }
func code(s string) string  { return "`" + s + "`" }

// wrap breaks text into lines of at most width characters.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}

package config

import (
	"reflect"
	"strings"
)

// A Setting is one row of the manual.
type Setting struct {
	Name        string // variable: MINTKEEP_TOKEN_TTL
	Flag        string // its flag, without dashes: token-ttl
	Help        string
	Default     string // literal; empty if there is none
	Embedded    string // literal default without Redis, where it differs
	Absent      string // the behaviour without a value and a default, in words
	Placeholder string
	Example     string
	Secret      bool // may come by file
	NoFlag      bool // rejected on the command line
	EmptyCounts bool // set but empty is a value
}

// File is the variable that names a file with the secret.
func (s Setting) File() string { return s.Name + "_FILE" }

// Settings lists the settings in the order of the manual.
func Settings() []Setting {
	var settings []Setting
	for field := range reflect.TypeFor[Config]().Fields() {
		flag, ok := field.Tag.Lookup("name")
		if !ok {
			continue
		}
		secret, isSecret := field.Tag.Lookup("secret")
		settings = append(settings, Setting{
			Name:        "MINTKEEP_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_")),
			Flag:        flag,
			Help:        field.Tag.Get("help"),
			Default:     field.Tag.Get("default"),
			Embedded:    field.Tag.Get("embedded"),
			Absent:      field.Tag.Get("absent"),
			Placeholder: field.Tag.Get("placeholder"),
			Example:     field.Tag.Get("example"),
			Secret:      isSecret,
			NoFlag:      isSecret && secret != "flag",
			EmptyCounts: field.Tag.Get("empty") != "",
		})
	}
	return settings
}

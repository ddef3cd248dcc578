package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Flags are the settings on the command line. The parser fills a struct with one
// optional string for each. [Load] parses the strings: it reports every error,
// where a command line parser stops at the first.
type Flags struct {
	settings []Setting
	target   reflect.Value // pointer to the struct that the parser fills
}

// NewFlags creates the flags of the named settings, or of all.
func NewFlags(names ...string) *Flags {
	settings := Settings()
	if len(names) > 0 {
		settings = slices.DeleteFunc(settings, func(s Setting) bool { return !slices.Contains(names, s.Flag) })
	}
	fields := make([]reflect.StructField, len(settings))
	for i, s := range settings {
		fields[i] = reflect.StructField{
			Name: fmt.Sprintf("Flag%d", i),
			Type: reflect.TypeFor[*string](),
			Tag:  kongTag(s),
		}
	}
	return &Flags{settings: settings, target: reflect.New(reflect.StructOf(fields))}
}

// Target is the struct to give to kong as a plugin.
func (f *Flags) Target() any { return f.target.Interface() }

// Given returns the flags that were on the command line, by name.
func (f *Flags) Given() map[string]string {
	given := map[string]string{}
	for i, s := range f.settings {
		if v := f.target.Elem().Field(i); !v.IsNil() {
			given[s.Flag] = v.Elem().String()
		}
	}
	return given
}

// kongTag describes a setting to kong. It names no variable and no default: kong
// would read the process's environment, and could not tell a default from a
// value. A secret's flag is known, hidden and rejected: the message is more helpful
// than "unknown flag".
func kongTag(s Setting) reflect.StructTag {
	hidden := ""
	if s.NoFlag {
		hidden = ` hidden:""`
	}
	help := strings.ReplaceAll(s.explained(), "$", "$$") // kong expands variables
	return reflect.StructTag(fmt.Sprintf(`name:%q placeholder:%q help:%q%s`, s.Flag, s.Placeholder, help, hidden))
}

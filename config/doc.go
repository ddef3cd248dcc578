// Package config reads Mintkeep's settings.
//
// The [Config] struct is the manual: the tags beside each field name the
// setting, its default and its meaning, and the flags of serve, its help and
// the table in the README are generated from them.
//
// A setting comes from the command line, else from the environment, else from
// its default. [Load] is given both, touches nothing global, and reports every
// error at once. No message repeats a value: it might be a secret in the wrong
// variable.
package config

package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A Source is where settings come from.
type Source struct {
	Flags    map[string]string // what the command line gave, by flag name
	Environ  []string          // NAME=value, as os.Environ returns it
	Terminal bool              // whether the log goes to a terminal
}

// Lookup returns a variable and whether it is set, even if it is empty.
func (s Source) Lookup(name string) (string, bool) {
	for _, entry := range s.Environ {
		if key, value, ok := strings.Cut(entry, "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}

// Get returns a variable, or the empty string.
func (s Source) Get(name string) string {
	value, _ := s.Lookup(name)
	return value
}

// Secret reads the variable name, or the file that name_FILE names. A warning is
// returned for a file that every user of the machine can read.
func (s Source) Secret(name string) (secret Secret, warning string, err error) {
	value, path := s.Get(name), s.Get(name+"_FILE")
	switch {
	case value != "" && path != "":
		return "", "", fmt.Errorf("and %s_FILE are both set: remove one", name)
	case path == "":
		return Secret(value), "", nil
	}
	secret, open, err := ReadSecret(path)
	if err != nil {
		return "", "", fmt.Errorf("cannot be read from the file of %s_FILE: %w", name, err)
	}
	if open {
		warning = fmt.Sprintf("%s_FILE: every user of this machine can read %s: run chmod 0600 on it", name, path)
	}
	return secret, warning, nil
}

// ReadSecret reads a secret from a file, without the newline at its end. open is
// whether every user of the machine can read the file.
func ReadSecret(path string) (secret Secret, open bool, err error) {
	content, open, err := readFile(path)
	if err != nil {
		return "", false, err
	}
	text := strings.TrimRight(string(content), "\r\n")
	if text == "" {
		return "", open, fileError(path, errors.New("empty"))
	}
	return Secret(text), open, nil
}

// maxFile bounds what is read of a file with a secret, a key or certificates.
const maxFile = 1 << 20

// readFile reads a small file. open is whether every user of the machine can read
// it. A mode such as 0440 is usual in containers and gives no warning.
func readFile(path string) (content []byte, open bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, fileError(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, false, fileError(path, err)
	}
	content, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, false, fileError(path, err)
	}
	if len(content) > maxFile {
		return nil, false, fileError(path, errors.New("larger than 1 MiB"))
	}
	return content, info.Mode().Perm()&0o004 != 0, nil
}

// fileError names the file and what is wrong with it, unless the path could be a
// secret in the place of a path.
func fileError(path string, err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("no such file")
	}
	if secretLike(path) {
		return fmt.Errorf("%w (the value is the path of a file, not its content)", err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// secretLike is whether a path could be a secret: no such file exists, and it is
// long, or a URL, or PEM.
func secretLike(path string) bool {
	if _, err := os.Lstat(path); err == nil {
		return false
	}
	if strings.Contains(path, "://") || strings.Contains(path, "-----") || len(filepath.Base(path)) >= 32 {
		return true
	}
	_, err := os.Lstat(filepath.Dir(path))
	return err != nil && len(path) >= 32
}

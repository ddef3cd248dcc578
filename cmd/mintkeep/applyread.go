package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/declare"
	"github.com/mintkeep/mintkeep/server/oauth"
)

// maxDeclaration bounds what is read of one file.
const maxDeclaration = 16 << 20

const standardInput = "(standard input)"

// read reads all files.
func (c *applyCommand) read(p process, out printer) (*declare.Declaration, error) {
	var files []declare.File
	for _, path := range c.Files {
		found, err := declarations(p, path)
		if err != nil {
			return nil, usageError{err}
		}
		files = append(files, found...)
	}
	declared, mistakes := declare.Read(files, declare.Options{
		Offers: oauth.Offers(oauth.AuthMethods()...), ReadSecret: declaredSecret,
	})
	if len(mistakes) > 0 {
		return nil, out.mistakes(mistakes)
	}
	return declared, nil
}

// declarations are the files at a path.
func declarations(p process, path string) ([]declare.File, error) {
	if path == "-" {
		text, err := readAtMost(p.input)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", standardInput, err)
		}
		return []declare.File{{Name: standardInput, Text: text}}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, pathError(path, err)
	}
	paths := []string{path}
	if info.IsDir() {
		if paths, err = inDirectory(path); err != nil {
			return nil, err
		}
	}
	files := make([]declare.File, len(paths))
	for i, path := range paths {
		text, err := readDeclaration(path)
		if err != nil {
			return nil, pathError(path, err)
		}
		files[i] = declare.File{Name: path, Text: text}
	}
	return files, nil
}

func readDeclaration(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAtMost(f)
}

// readAtMost reads a declaration whole, or not at all: without its end, a part would be deleted that it declares.
func readAtMost(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxDeclaration+1))
	if err == nil && len(text) > maxDeclaration {
		err = fmt.Errorf("is larger than %d MiB; divide it into several files", maxDeclaration>>20)
	}
	return text, err
}

// inDirectory are the files of a directory that are declarations, without those below it. Hidden ones are an editor's.
func inDirectory(path string) (paths []string, err error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, pathError(path, err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if !entry.IsDir() && !strings.HasPrefix(name, ".") && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)) {
			paths = append(paths, filepath.Join(path, name))
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s: the directory has no .yaml, .yml or .json file", path)
	}
	return paths, nil
}

// declaredSecret reads a secret that a declaration names by a path, which is relative to the declaration.
func declaredSecret(declaration, path string) (string, error) {
	if declaration != standardInput && !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(declaration), path)
	}
	secret, _, err := config.ReadSecret(path)
	return secret.Reveal(), err
}

// mistakes are everything that is wrong in the files, as an error of the caller's. Programs find it on the standard output.
func (p printer) mistakes(all []declare.Mistake) error {
	lines, items := make([]string, len(all)), make([]map[string]any, len(all))
	for i, m := range all {
		lines[i] = printable(m.String())
		items[i] = map[string]any{"file": m.File, "line": m.Line, "path": m.Path, "problem": m.Problem}
	}
	if p.json {
		body, err := json.Marshal(map[string]any{"errors": items})
		if err != nil {
			return err
		}
		if err := p.pretty(body); err != nil {
			return err
		}
	}
	return usagef("%s in the files; nothing was changed:\n%s", counted(len(all), "error"), strings.Join(lines, "\n"))
}

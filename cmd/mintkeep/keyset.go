package main

import (
	"encoding/json"
	"io"
	"os"

	"github.com/mintkeep/mintkeep/server/jwks"
)

// readKeySet reads public keys from a file, or from the standard input, and returns them as a JWK set. The server says what may
// be registered; a private key is not even sent to it.
func readKeySet(p process, path string) (json.RawMessage, error) {
	in := p.input
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, pathError(path, err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxKeyFile))
	if err != nil {
		return nil, pathError(path, err)
	}
	set, err := jwks.ReadPublic(text)
	if err != nil {
		return nil, pathError(path, err)
	}
	return set, nil
}

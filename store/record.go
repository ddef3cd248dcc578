package store

import (
	"encoding/json"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// recordVersion is the first byte of every record. A reader rejects what is newer: a member that it does not
// understand may take a right away.
const recordVersion = '1'

func encodeRecord(v any) string {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // the records are ours: strings, numbers and times
	}
	return string(recordVersion) + string(body)
}

func decodeRecord(record string, v any) error {
	body, err := recordBody(record)
	if err != nil {
		return err
	}
	return decodeBody(body, v)
}

func decodeBody(body string, v any) error {
	if err := json.Unmarshal([]byte(body), v); err != nil {
		return unavailable("read", redisdb.ErrDamaged)
	}
	return nil
}

// recordBody checks a record's version and returns the rest.
func recordBody(record string) (string, error) {
	switch {
	case record == "":
		return "", unavailable("read", redisdb.ErrDamaged)
	case record[0] != recordVersion:
		return "", ErrNewerRecord
	}
	return record[1:], nil
}

package config

import (
	"errors"
	"fmt"
	"strings"
)

// Durability is what must hold before an end, or a change, is answered with success. The zero value is "ack": Redis
// has said that it was carried out.
type Durability struct {
	// Fsync, "fsync": the server of Redis has it on its disk.
	Fsync bool
	// Replicas, "replicas:N": so many replicas have it; 0: none need to. They have it in memory, and on their disks
	// as they are set up.
	Replicas int
}

func (d Durability) String() string {
	switch {
	case d.Fsync:
		return "fsync"
	case d.Replicas > 0:
		return fmt.Sprintf("replicas:%d", d.Replicas)
	}
	return "ack"
}

func parseDurability(s string) (Durability, error) {
	switch s {
	case "ack":
		return Durability{}, nil
	case "fsync":
		return Durability{Fsync: true}, nil
	}
	n, counts := strings.CutPrefix(s, "replicas:")
	if !counts || len(n) != 1 || n[0] < '1' || n[0] > '9' {
		return Durability{}, errors.New("must be ack, fsync, or replicas:N with N from 1 to 9")
	}
	return Durability{Replicas: int(n[0] - '0')}, nil
}

// relateDurability refuses to promise what memory does not keep.
func (l *loader) relateDurability(c *Config) {
	if l.embedded && c.RevokeDurability != (Durability{}) {
		l.mistake("revoke-durability", errors.New("must be ack while no Redis is configured: the embedded store keeps nothing"))
	}
}

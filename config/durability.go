package config

import (
	"errors"
	"fmt"
	"strings"
)

// Durability is what must hold before a revocation, or another change, is answered with success. The zero value is "ack":
// Redis has acknowledged it.
type Durability struct {
	// Fsync, "fsync": Redis has written it to its disk.
	Fsync bool
	// Replicas, "replicas:N": so many replicas have it; 0: none need to. They have it in memory; when it is on their
	// disks depends on their setup.
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

// relateDurability rejects a durability that the embedded store cannot give.
func (l *loader) relateDurability(c *Config) {
	if l.embedded && c.RevokeDurability != (Durability{}) {
		l.mistake("revoke-durability", errors.New("must be ack while no Redis is configured: the embedded store keeps its data in memory only"))
	}
}

// Package e2e tries the guard against the real Mintkeep, as a process, and against guardtest, by the same table: so the two
// cannot drift apart. It is a module of its own, since the guard may not depend on Mintkeep's.
package e2e

// Package rekey changes the master key of a running installation: it re-encrypts, under the first master key of the list,
// what is in Redis under another of them. That is the private halves of the signing keys that are active and next, and
// the password hash of each user.
//
//	every replica has old,new   all can open what new will seal
//	every replica has new,old   from now on new seals
//	rekey with new,old          what old sealed is moved to new
//	every replica has new       old may be forgotten
//
// It may be run while replicas serve, and may be run again. Each record is changed by compare and set, so that a rotation
// or a new password of that moment is never undone: the first writer wins, and the walk reads again. The result is
// final only if no replica seals under the old key any more; Redis cannot show that.
//
// The walk goes through all keys of Redis, and so finds a user whom the list of users lacks.
//
// If an old master key has leaked, all signing keys are replaced as well: who has that key and a copy of Redis has them.
//
// What opens under no key of the list is reported and left as it is, and so is a record that cannot be read.
package rekey

// Package rekey changes the master key of an installation that runs: it seals anew, under the first master key of
// the list, what is in Redis under another of them. That is the private halves of the signing keys that are active
// and next, and the password hash of each person.
//
//	every replica has old,new   all can open what new will seal
//	every replica has new,old   what is sealed from now on is under new
//	rekey with new,old          what was sealed before is moved to new
//	every replica has new       old may be forgotten
//
// It may be run while replicas serve, and again. Each record is changed by comparing and setting, so that a rotation
// or a new password of that moment is never undone: whoever comes first wins, and the walk looks again. It holds
// for good only if no replica seals under the old key any more, which nobody can see in Redis.
//
// What does not open under any key of the list is told and left as it is, and so is a record that cannot be read.
package rekey

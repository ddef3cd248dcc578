// Package rekey changes the master key of a running installation: it reseals under the first master key of the list
// what is sealed in Redis under another of them. That is the private parts of the active and the next signing key,
// and the password hash of each user.
//
//	every replica has old,new   all can open what new will seal
//	every replica has new,old   what is sealed from now on is under new
//	rekey with new,old          what was sealed before is moved to new
//	every replica has new       old can be deleted
//
// It may run while replicas serve, and be repeated. Each record is changed by compare and set, so that a rotation or a
// new password of that moment is never undone: the first write wins, and the walk reads again. The result lasts only if
// no replica seals under the old key any more; Redis does not show whether one does.
//
// What opens under no key of the list is reported and left as it is, and so is a record that cannot be read.
package rekey

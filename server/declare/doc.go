// Package declare is what "mintkeep apply" does with the files in which an operator declares clients and users: it reads them
// ([Read]), compares them with what a server has ([NewPlan]), and says what would change and what that revokes. It sends nothing:
// the command does.
//
// A declaration has an owner. The objects that it manages carry its name (managed_by), so that two declarations do not manage one
// object, and so that pruning deletes nothing that another one, or no declaration, manages.
//
// All that is wrong in all files is found in one reading, each with its file, line and path ([Mistake]). The members of a client
// and a user are two tables, in members.go: reading, the JSON Schema ([Schema]) and the export read them.
package declare

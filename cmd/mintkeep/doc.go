// Command mintkeep is an OAuth 2.0 authorization server for machines, and the
// tool of its operators.
//
//	mintkeep               run the server; the same as mintkeep serve
//	mintkeep client        register and manage clients, over the admin API
//	mintkeep user          invite and manage users, likewise
//	mintkeep key           create, list and revoke API keys; revoke leaked ones; rules for scanners
//	mintkeep guard         list the guards
//	mintkeep signing-key   list and rotate the keys that sign JWTs
//	mintkeep apply         make clients and users what files declare
//	mintkeep export        write such a file
//	mintkeep audit         export the audit log
//	mintkeep rekey         re-encrypt everything after a change of the master key
//	mintkeep fence         make a restored Redis safe to serve from
//	mintkeep token         fetch a token as a client would
//	mintkeep introspect    ask whether a credential is active
//	mintkeep doctor        check the configuration and its Redis, and suggest fixes
//	mintkeep healthcheck   ask the local server whether it is ready
//	mintkeep completion    print completions for a shell
//	mintkeep version       version, commit and Go version
//
// main calls run, which is given everything that it touches; the scripts in
// testdata/script show what a user types and sees.
package main

// Package store keeps what Mintkeep must remember, in Redis or in a Redis that lives in this process: clients
// and their secrets, live access tokens, signing keys, the audit log. It knows no HTTP.
//
// # Keys
//
//	key                          type    value                                          lives            written by
//	mk:c:<client id>             hash    a client; the fields are at [Client]           until deleted    CreateClient, UpdateClient, EnableClient, StartGeneration, AddSecret, and the ends
//	mk:clients:id                zset    client ids, all of score 0                     until deleted    CreateClient, DeleteClient
//	mk:clients:name              zset    "lower-cased name NUL client id"               until deleted    CreateClient, UpdateClient, DeleteClient
//	mk:t:<32 bytes of digest>    string  1, generation (16 bytes), claims if opaque     as the token     SaveToken, EndToken
//	mk:t:<2 hex digits>          hash    digest → the same; the embedded store's form   each field so    SaveToken, EndToken
//	mk:u:<client id>             hash    secret id → seconds of its last use            400 days         FlushUses, DeleteClient, EndSecret, AddSecret
//	mk:f:<16 bytes of digest>    string  failures of a client from an address           1 minute         CountFailure
//	mk:f:<address or /64>        string  failures from an address                       1 minute         CountFailure
//	mk:signing-keys              string  all signing keys, one JSON document            for ever         ReplaceKeyring
//	mk:signing-keys:claim:<rev>  string  which replica makes the next keys              as asked         ClaimKeyring
//	mk:audit                     stream  changes; field e is an [Event]                 last 100,000     Audit
//	mk:refusals                  stream  refusals, likewise                             last 10,000      AuditRefusal
//	mk:ping                      –       never written; Ping asks whether it is there
//
// Only digests of secrets and tokens are stored, and the private halves of signing keys encrypted. What stands
// under mk:f: is in the embedded store a map in memory.
//
// # What happens in one step
//
// Nothing spans two keys: in a cluster they lie on different nodes. What must hold together is in one key, and
// the order of the writes makes a crash between two of them harmless.
//
//   - A client with its state, its generation and its secrets is one hash. It is changed under WATCH, in one
//     MULTI: of two that do so at once, the second sees the first. One HGETALL reads it, whole.
//   - The indexes are written before the client and cleared after it. An entry too many is skipped by whoever
//     lists; who wrote or cleared one looks again afterwards, so that none goes missing in a race.
//   - A token is one record, which expires by itself. It is live while it is there and has the generation that
//     its client has. So no list of a client's tokens is needed to end them all, and none is kept.
//   - The keyring is one string, replaced whole, by compare and set.
//   - An event is one XADD, in a MULTI so that it is not sent twice.
//
// # Ends
//
// An end takes something away, with a command that Redis carries out even when it is out of memory. When it
// has returned nil, no replica honours what was ended; tidying up comes after and cannot fail it.
//
//	DisableClient     HDEL mk:c:<id> on gen     then nothing of it is valid, nor its secrets, until EnableClient
//	EndClientTokens   HDEL mk:c:<id> gen        the next generation is drawn now, or by StartGeneration
//	DeleteClient      DEL  mk:c:<id>            then the index entries, and the last uses
//	EndSecret         HDEL mk:c:<id> s:<id>     then its last use
//	EndToken          DEL  mk:t:<digest>        embedded: HDEL
//
// What was ended stays so: a generation is random and drawn anew, never restored, and none matches nothing.
//
// # Records
//
// Each record begins with its version, "1" (a secret's stands behind its digest; the keyring has a member v).
// A reader that meets another says [ErrNewerRecord] and one that cannot make sense of a record says
// [ErrUnavailable], which is what every failure of the backend comes to: neither yes nor no, so the request is
// refused. Ends need not understand what they end.
package store

// Package store keeps what Mintkeep must remember, in Redis or in a Redis that runs in this process: clients
// and their secrets, users and their API keys, valid access tokens, signing keys, the audit log. It knows no
// HTTP.
//
// # Keys
//
//	key                          type    value                                          lifetime            written by
//	mk:c:<client id>             hash    a client; the fields are at [Client]           until deleted       CreateClient, UpdateClient, EnableClient, StartGeneration, AddSecret, and the revocations
//	mk:clients:id                zset    client ids, all of score 0                     until deleted       CreateClient, DeleteClient, ListAll
//	mk:clients:name              zset    "lower-cased name NUL client id"               until deleted       CreateClient, UpdateClient, DeleteClient, ListAll, Run
//	mk:clients:word              zset    likewise: the words of names and ids           until deleted       CreateClient, UpdateClient, DeleteClient, ListAll, Run
//	mk:secrets                   hash    digest → "client id NUL secret id"             as the secret       CreateClient, AddSecret, DeleteClient, RevokeSecret, RevokeLeaked
//	mk:secrets:<digest>          zset    "client id NUL secret id" of each importer     as the secret       CreateClient, AddSecret, DeleteClient, RevokeSecret, RevokeLeaked, Run
//	mk:p:<user id>               hash    a user; the fields are at [User]               until deleted       CreateUser, UpdateUser, EnableUser, PromoteUser, InviteUser, RedeemInvite, and the revocations
//	mk:e:<16 bytes of digest>    string  the id of the one user with the email          until deleted       CreateUser, UpdateUser, DeleteUser
//	mk:users:id                  zset    user ids, all of score 0                       until deleted       CreateUser, DeleteUser, ListAll
//	mk:users:name                zset    "lower-cased email, or name, NUL user id"      until deleted       CreateUser, UpdateUser, DeleteUser, ListAll, Run
//	mk:users:word                zset    likewise: the words of emails and names        until deleted       CreateUser, UpdateUser, DeleteUser, ListAll, Run
//	mk:t:<32 bytes of digest>    string  a valid token or key: see [Credential]         as that             SaveToken, RevokeToken, CreateKey, UpdateKey, DisableKey, EnableKey, ExpireKey, RevokeKey, RevokeKeys, RevokeLeaked
//	mk:t:<2 hex digits>          hash    digest → the same; the embedded store's form   each field so       the same
//	mk:j:<16 bytes of digest>    string  1: an assertion was used                       while it is valid   SaveToken, UseOnce, ClientOnce, UserOnce
//	mk:k:<key id>                string  digest, and the description: an [APIKey]       430 days, inactive  CreateKey, UpdateKey, DisableKey, EnableKey, ExpireKey, RevokeKey, RevokeKeys, RevokeLeaked, DeleteUser, Run
//	mk:pk:<user id>              zset    a user's key ids, active and inactive          400 days, inactive  CreateKey, Run; DeleteUser bounds it
//	mk:pl:<user id>              zset    a user's active key ids, by their expiry       while active        CreateKey, ExpireKey, UpdateKey, the revocations, DeleteUser, Run
//	mk:kl:<user id>              zset    a user's leaked key ids, by the millisecond    30 days             RevokeLeaked
//	                                     of the report
//	mk:keys:id                   zset    key ids, active and inactive, all of score 0   400 days, inactive  CreateKey, Run
//	mk:keys:name                 zset    "lower-cased name NUL key id"                  400 days, inactive  CreateKey, UpdateKey, Run
//	mk:keys:word                 zset    likewise: the words of names                   400 days, inactive  CreateKey, UpdateKey, Run
//	mk:keys:live                 zset    active key ids, by the millisecond of expiry   while active        CreateKey, ExpireKey, UpdateKey, the revocations, Run
//	mk:keys:due                  zset    key ids, by when they are purged               400 days, inactive  CreateKey, ExpireKey, UpdateKey, the revocations, Run
//	mk:u:<client id>             hash    secret id → seconds of its last use; k: and    400 days            Flush, DeleteClient, RevokeSecret, AddSecret, KeepClientKeys
//	                                     the thumbprint of a key → the same; token,
//	                                     rejected → the same of token requests
//	mk:ku:<user id>              hash    key id → seconds of its last use, through whom 400 days            Flush, Run
//	mk:kd:<key id>               hash    day → uses on that day; r and the day → those  31 days             Flush, Run
//	                                     that were rejected
//	mk:kf:<16 bytes of digest>   string  the id of a key that is not active any more    31 days             Flush, Run
//	mk:s:<32 bytes of digest>    string  a session of the dashboard                     12 h unused         CreateSession, Session, the revocations
//	mk:ps:<user id>              zset    digests of a user's sessions, by their expiry  7 days              CreateSession, the revocations
//	mk:o:<16 bytes of digest>    string  a submitted form, and its outcome              1 hour              ClaimIdempotencyKey, CompleteIdempotencyKey
//	mk:n:<hour modulo 27>        hash    "minute what" → how many                       25½ hours           Flush
//	mk:nc:<client id>:<0 to 2>   hash    of an hour: "minute what" → token requests     1½ hours            Flush, DeleteClient
//	mk:nd:<client id>:<0 to 2>   hash    of a day: "quarter of an hour what" → the same 1½ days             Flush, DeleteClient
//	mk:nt:requests:<0 to 7>      zset    of 10 minutes: client ids by token requests    65 minutes          Flush
//	mk:nt:rejected:<0 to 7>      zset    of 10 minutes: client ids by rejected ones     65 minutes          Flush
//	mk:nt:keys:<0 to 8>          zset    of a day: key ids by their uses                7½ days             Flush
//	mk:r:<unit>:<client id>      string  calls of a client, or uses of a key, with a    the window          CountCall
//	                                     rate
//	mk:f:<16 bytes of digest>    string  failures of a client from an address           1 minute            CountFailure
//	mk:f:<address or /64>        string  failures from an address                       1 minute            CountFailure
//	mk:f:<bucket>:<the same>     string  failures of another kind, likewise             1 minute            CountFailure, CountRejection
//	mk:signing-keys              string  all signing keys, one JSON document            no expiry           ReplaceKeyring
//	mk:signing-keys:claim:<rev>  string  which replica creates the next keys            as asked            ClaimKeyring
//	mk:audit                     stream  changes; field e is an [Event]                 100,000 or 90 days  Audit, Run
//	mk:audit:<0 to 31>           stream  users' changes of what is their own, likewise  last 3,125          Audit
//	mk:refusals                  stream  rejections, likewise                           last 10,000         AuditRefusals
//	mk:guards                    hash    replica → 1: what it has heard of guards       1 minute            SaveGuards; GuardsParts clears it
//	mk:guards:of:<replica>       string  the guards that it has heard: a [GuardsPart]   1 minute            SaveGuards
//	mk:guards:joined:<client>    string  1: a guard has polled as this client           1 day               GuardJoined
//	mk:guards:probe:{mk:feed}:<id>
//	                             stream  reports about a probe: each a [ProbeReport]    1 minute            OpenProbe, ReportProbe
//	mk:epoch                     hash    counter and watermarks; see package rollback   no expiry           Run; watermarks are swept
//	mk:epoch:<n>:<i>             hash    the same, of a sixteenth of a cluster's slots  no expiry           the same
//	mk:epoch:alive               string  1: a replica watches Redis                     5 s                 Run
//	mk:epoch:alive:<epoch key>   string  the same, of a sixteenth; {} around the key    5 s                 Run
//	mk:fence                     string  the millisecond of the last mintkeep fence     no expiry           Fence
//	mk:feed                      stream  voids, and what package feed adds to them      last 16,384         the revocations, Run; Fence deletes it
//	mk:feed:beats:{mk:feed}      hash    replica → its beat: it appends to the feed     5 s                 Run
//	mk:ping                      –       never written; Ping asks whether it is there
//
// In this table a disabled key is an active one. "Inactive" counts from the revocation or the expiry of a key, before which there is no expiry. What is only an entry of
// something larger does not expire by itself: Run takes it out when it is due, and the description stays 30 days longer,
// so that the other entries are known then.
//
// Only digests of secrets, keys, tokens and invites are stored, and passwords and the private halves of signing
// keys encrypted. What stands under mk:f:, mk:r: and mk:j: is in the embedded store a map in memory.
//
// # What happens in one step
//
// Nothing spans two keys: in a cluster they lie on different nodes. What must hold together is in one key, and
// the order of the writes makes a crash between two of them harmless.
//
//   - A client with its state, its generation, its secrets and its public keys is one hash. It is changed under WATCH, in one
//     MULTI: of two that do so at once, the second sees the first. One HGETALL reads it, whole. The field w makes a
//     revocation visible to a change that is on its way, even if it has nothing else to delete: see change.
//   - The indexes are written before the client and cleared after it. A listing skips an entry too many; a request that
//     wrote or cleared an entry reads it again afterwards, so that none goes missing in a race.
//   - A change sends its commands through the connection of its WATCH alone. What it needs beside the record, such as the index
//     entry of a new name, comes before: so many changes at once do not wait for each other's connections.
//   - A token is one record, which expires by itself. It is valid while it is there and has the generation that
//     its client has. So no list of a client's tokens is needed to revoke them all, and none is kept.
//   - A user with their state, generations, password and invite is one hash, changed likewise. Of two requests that redeem
//     one invite, the second finds none.
//   - An email is one string, taken under WATCH, by a user who is there already: so an email of a user who is not there
//     is free. Until they have it, a new user expires in a minute. A change of email takes the new one
//     first, and gives the old one back last.
//   - An API key is a record among the tokens, so that one look-up finds either. It is valid while it is there and
//     has the generation that its owner has, who must be enabled. It is changed, disabled and enabled under WATCH. Its description and its entries come first, and
//     decide nothing: without the record they are those of a key that was revoked or has expired.
//   - The number of a user's active keys is the size of one zset, to which a new key is added under WATCH. What a
//     crash left in it is looked for only when it seems to be full.
//   - The keyring is one string, replaced whole, by compare and set.
//   - An assertion is used by one SET NX, which travels with the token's record in one pipeline. If it was used before, the token's
//     record is deleted, and no one gets the token.
//   - An event is one XADD. Like every write it is sent once: see package redisdb.
//
// # Revocations
//
// A revocation deletes something, with a command that Redis applies even when it is out of memory. When it has returned
// nil, no replica accepts what was revoked; tidying up comes after and cannot fail it. Other methods change what a
// credential is worth, or give it back, in a transaction. Each makes a [Revocation] of these kinds, and goes through
// revoke or transact. Each HDEL below deletes the field w as well:
//
//	method              kinds                       by
//	CreateClient        client                      a transaction: an earlier client may have had the id
//	UpdateClient        client, clientkey           a transaction, if a scope, an audience or a grant is taken away; if a public key is, or the method changes
//	EnableClient        client                      a transaction
//	DisableClient       client                      HDEL mk:c:<id> on gen; nothing of it is valid until EnableClient
//	RevokeClientTokens  client                      HDEL mk:c:<id> gen; the next generation is drawn now, or by StartGeneration
//	DeleteClient        client                      DEL  mk:c:<id>; then the index entries, and the last uses
//	AddSecret           secret                      a transaction; the old secret is revoked, or expires earlier
//	RevokeSecret        secret                      HDEL mk:c:<id> s:<id>; then its last use
//	RevokeToken         token                       DEL  mk:t:<digest>; embedded: HDEL
//	RevokeKey           key                         likewise; then the tombstone, and the entries move
//	RevokeKeys          key                         likewise
//	ExpireKey           key                         a transaction; a rotation brings the expiry forward, to now without an overlap
//	UpdateKey           key                         a transaction; neither the scope nor the expiry becomes wider
//	DisableKey          key                         a transaction; the record has no generations until EnableKey
//	EnableKey           key                         a transaction
//	RevokeLeaked        key, secret, token          DEL  mk:t:<digest>, and RevokeSecret for each secret that mk:secrets or mk:secrets:<digest> names
//	DisableUser         user                        HDEL mk:p:<id> on sess invite; no key is valid until EnableUser
//	EnableUser          user                        a transaction
//	PromoteUser         user                        a transaction
//	DemoteUser          user                        HDEL mk:p:<id> op; mintkeep:admin of their keys does not come back
//	DeleteUser          user                        DEL  mk:p:<id>; then the email, the index entries, and each key as by RevokeKeys
//	UpdateUser          invite                      a transaction, if the email changes
//	InviteUser          invite                      a transaction; the invite before is replaced
//	RevokePassword      password                    HDEL mk:p:<id> pwlife pw sess invite
//	RevokeInvite        invite                      HDEL mk:p:<id> invite
//	RedeemInvite        invite, password, session   a transaction
//	SetPassword         invite, password, session   a transaction
//	RevokeSession       session                     DEL  mk:s:<digest>; then its entry
//	RevokeSessions      session                     HDEL mk:p:<id> sess; the next sign-in draws the next generation
//	RevokeAllTokens     all                         HDEL mk:c:<id> gen of each client, listed or not
//	RevokeAllSessions   all                         HDEL mk:p:<id> sess of each user, likewise
//
// What was revoked stays so: a generation is random and drawn again, never restored, and a missing one matches no record.
// There are two exceptions. A disabled user keeps theirs, and the keys are valid again when they are enabled. The record of a
// disabled key has them put aside, and has them again when it is enabled.
//
// Redis's own answer says that a deletion was applied, not that it survives a crash. [Options.Durability] asks for more:
// see package redisdb. If that is not confirmed, the deletion is applied and the result is [ErrUnconfirmed]: its tidying
// up is done, and its caller repeats it. A caller that finds nothing to delete then must not be told so before that is
// confirmed: "it is gone" means that it stays so. What a transaction writes is confirmed likewise.
//
// Redis may also lose what it has acknowledged. Package rollback notices that, and replays the deletions. A deletion that
// is replayed must not revoke what began after it. Most delete something with a random name. The others have a condition:
// a field with a random value, which is another each time, on, gen, sess, op, pwlife, invite, the marker of a public key, and for
// the deletion of a client life. What this replica has enabled again, a replay does not disable. What takes a part of an API
// key away is a restriction: the replay writes the record again as it should be, if it is worth more.
//
// # The feed
//
// Guards keep answers of introspection. So each revocation is appended to the feed (see package feed) before it is
// acknowledged: what it voids, by its kind:
//
//	kind              voids
//	token, key        what is known of the credential
//	client            of all tokens of the client
//	user              of all keys of the user
//	secret, clientkey that the client has authenticated: replicas remember that for guards
//	all               everything
//	others            nothing
//
// The append goes behind the deletion, in the same pipeline and before the barrier; in a cluster in a pipeline of its own,
// with its barrier. A revocation that finds nothing to delete appends too, for an earlier attempt may not have done so: see
// confirm. What is sent again is appended again, by the heartbeat. If Redis rejects the append, because it is out of memory,
// the feed is deleted, and guards forget everything. If that fails too, the result is [ErrUnconfirmed], and the next
// heartbeat appends it.
//
// # Records
//
// Each record begins with its version, "1" (a secret's, and the description of a key, stand behind the digest; the
// record of a valid key has "k" before it; the keyring has a member v).
// The metadata of a client may have members that a newer version added to this version of the record: a replica that does
// not know them writes them again as they are.
// A reader that meets another version says [ErrNewerRecord], and one that cannot decode a record says
// [ErrUnavailable], which is what every failure of Redis comes to: neither yes nor no, so the request is
// rejected. Revocations need not understand what they delete.
package store

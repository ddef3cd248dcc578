// Package store keeps what Mintkeep must remember, in Redis or in a Redis that lives in this process: clients
// and their secrets, people and their API keys, live access tokens, signing keys, the audit log. It knows no
// HTTP.
//
// # Keys
//
//	key                          type    value                                          lives            written by
//	mk:c:<client id>             hash    a client; the fields are at [Client]           until deleted    CreateClient, UpdateClient, EnableClient, StartGeneration, AddSecret, and the ends
//	mk:clients:id                zset    client ids, all of score 0                     until deleted    CreateClient, DeleteClient
//	mk:clients:name              zset    "lower-cased name NUL client id"               until deleted    CreateClient, UpdateClient, DeleteClient
//	mk:secrets                   hash    digest → "client id NUL secret id"             as the secret    CreateClient, AddSecret, DeleteClient, RevokeSecret, RevokeLeaked
//	mk:p:<user id>               hash    a person; the fields are at [User]             until deleted    CreateUser, UpdateUser, EnableUser, PromoteUser, InviteUser, RedeemInvite, and the ends
//	mk:e:<16 bytes of digest>    string  the id of the one person with the email        until deleted    CreateUser, UpdateUser, DeleteUser
//	mk:users:id                  zset    user ids, all of score 0                       until deleted    CreateUser, DeleteUser
//	mk:users:name                zset    "lower-cased email, or name, NUL user id"      until deleted    CreateUser, UpdateUser, DeleteUser
//	mk:t:<32 bytes of digest>    string  a live token or key: see [Credential]          as that          SaveToken, RevokeToken, CreateKey, ExpireKey, RevokeKey, RevokeKeys, RevokeLeaked
//	mk:t:<2 hex digits>          hash    digest → the same; the embedded store's form   each field so    the same
//	mk:k:<key id>                string  digest, and the description: an [APIKey]       430 days, ended  CreateKey, ExpireKey, RevokeKey, RevokeKeys, RevokeLeaked, DeleteUser, Run
//	mk:pk:<user id>              zset    a person's key ids, live and ended             400 days, ended  CreateKey, Run; DeleteUser bounds it
//	mk:pl:<user id>              zset    a person's live key ids, by their expiry       until they end   CreateKey, ExpireKey, the ends, DeleteUser, Run
//	mk:keys:id                   zset    key ids, live and ended, all of score 0        400 days, ended  CreateKey, Run
//	mk:keys:name                 zset    "lower-cased name NUL key id"                  400 days, ended  CreateKey, Run
//	mk:keys:live                 zset    live key ids, by the millisecond of expiry     400 days, ended  CreateKey, ExpireKey, the ends, Run
//	mk:keys:due                  zset    key ids, by when they are forgotten            400 days, ended  CreateKey, ExpireKey, the ends, Run
//	mk:u:<client id>             hash    secret id → seconds of its last use            400 days         Flush, DeleteClient, RevokeSecret, AddSecret
//	mk:ku:<user id>              hash    key id → seconds of its last use, through whom 400 days         Flush, Run
//	mk:kd:<key id>               hash    day → uses on that day                         31 days          Flush, Run
//	mk:s:<32 bytes of digest>    string  a session of the dashboard                     12 h unused      CreateSession, Session, the ends
//	mk:ps:<user id>              zset    digests of a person's sessions, by their end   7 days           CreateSession, the ends
//	mk:o:<16 bytes of digest>    string  a form that was sent, and what came of it      1 hour           Once, Done
//	mk:n:<hour modulo 27>        hash    "minute what" → how many                       25½ hours        Flush
//	mk:r:<unit>:<client id>      string  calls of a client with a rate                  the window       CountCall
//	mk:f:<16 bytes of digest>    string  failures of a client from an address           1 minute         CountFailure
//	mk:f:<address or /64>        string  failures from an address                       1 minute         CountFailure
//	mk:signing-keys              string  all signing keys, one JSON document            for ever         ReplaceKeyring
//	mk:signing-keys:claim:<rev>  string  which replica makes the next keys              as asked         ClaimKeyring
//	mk:audit                     stream  changes; field e is an [Event]                 last 100,000     Audit
//	mk:refusals                  stream  refusals, likewise                             last 10,000      AuditRefusal
//	mk:epoch                     hash    how far time has come; see below               for ever         Run; marks are swept
//	mk:epoch:<n>:<i>             hash    the same, of a sixteenth of a cluster's slots  for ever         the same
//	mk:fence                     string  the millisecond of the last mintkeep fence     for ever         Fence
//	mk:ping                      –       never written; Ping asks whether it is there
//
// "Ended" counts from the end of a key, before which there is no expiry. What is only an entry of something larger
// does not go by itself: Run takes it out when it is due, and the description stays 30 days longer, so that it is
// known then which entries there are.
//
// Only digests of secrets, keys, tokens and invites are stored, and passwords and the private halves of signing
// keys encrypted. What stands under mk:f: and mk:r: is in the embedded store a map in memory.
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
//   - A person with their state, generations, password and invite is one hash, changed likewise. Of two who redeem
//     one invite, the second finds none.
//   - An email is one string, taken under WATCH, by a person who is there already: so one that belongs to nobody who
//     is there is free. Until they have it, a new person expires in a minute. A change of email takes the new one
//     first, and gives the old one back last.
//   - An API key is a record beside the tokens, so that one look-up finds either. It is live while it is there and
//     has the generation that its owner has, who must be enabled. Its description and its entries come first, and
//     decide nothing: without the record they are those of a key that has ended.
//   - The number of a person's live keys is the size of one zset, to which a new key is added under WATCH. What a
//     crash left in it is looked for only when it seems to be full.
//   - The keyring is one string, replaced whole, by compare and set.
//   - An event is one XADD, in a MULTI so that it is not sent twice.
//
// # Ends
//
// An end takes something away, with a command that Redis carries out even when it is out of memory. When it
// has returned nil, no replica honours what was ended; tidying up comes after and cannot fail it.
//
//	DisableClient     HDEL mk:c:<id> on gen     then nothing of it is valid, nor its secrets, until EnableClient
//	RevokeClientTokens   HDEL mk:c:<id> gen        the next generation is drawn now, or by StartGeneration
//	DeleteClient      DEL  mk:c:<id>            then the index entries, and the last uses
//	RevokeSecret         HDEL mk:c:<id> s:<id>     then its last use
//	RevokeToken          DEL  mk:t:<digest>        embedded: HDEL
//	RevokeKey, RevokeKeys   DEL  mk:t:<digest>        likewise; then the description says how, and the entries move
//	RevokeLeaked         DEL  mk:t:<digest>        likewise, and RevokeSecret for each secret that mk:secrets knows
//	DisableUser       HDEL mk:p:<id> on sess    no key of theirs is valid, nor a link, until EnableUser; no session again
//	RevokeSessions       HDEL mk:p:<id> sess       the next sign-in draws the next generation
//	RevokeSession        DEL  mk:s:<digest>        then its entry
//	DemoteUser        HDEL mk:p:<id> op         mintkeep:admin of their keys is gone for good
//	DeleteUser        DEL  mk:p:<id>            then the email, the index entries, and each key as by RevokeKeys
//
// Redis's own answer says that an end was carried out, not that it outlives a crash. [Options.Durability] asks for more:
// that it is on the disk, or at so many replicas. Then each server's share of the ends goes down one connection with the
// question behind it (see proof), and the answer is compared with what was asked for. If it is less, or not known, the
// end was carried out and is [ErrUnconfirmed]: its tidying up is done, and its caller repeats it. Whoever finds nothing to
// end then must not say so before that is confirmed: "it is gone" means that it stays so. What change writes is confirmed
// likewise, on the connection of its MULTI.
//
// What was ended stays so: a generation is random and drawn anew, never restored, and none matches nothing. The one
// exception is meant: a disabled person keeps theirs, and the keys live again when they are enabled.
//
// # Going back in time
//
// Redis may come back with less than it had: from a failover, an old backup, or empty. The epoch shows that. It counts the
// pulses of all replicas in n, and has for each replica a mark, r:<random>, the count that it had seen at the pulse
// before; line is drawn by whoever finds no epoch. [Store.Run] pulses once a second and after every end. What comes before
// a mark in time is kept by a Redis that keeps the mark.
//
// A replica whose mark is lower than it was, or gone, refuses everything with ErrUnavailable. It sees so at each new
// connection, before a request's command goes there, or else at the next pulse. Then it repeats the ends that it has carried
// out itself in the last 15 minutes, up to 16,384, if the loss began no longer ago than they reach back, and goes on. If it
// did, or the line is another, it stays at [ErrBehind] until [Store.Fence], or until what was lost is back. What it has
// ended itself it repeats after a fence as well. A Redis that takes no writes, as a replica or a primary without the
// replicas that it should have, is refused likewise, until a pulse succeeds, and all connections to it are dropped; one
// that is out of memory is not: it takes no mark, and all that is open is repeated in every pulse until it does. One that
// does not answer is refused until a pulse succeeds if an end may be lost by that: one that was acknowledged and has no
// mark behind it yet.
//
// An end whose outcome is not known is among those that are repeated: it may have been carried out, and then whoever
// tries again finds nothing to do. Of a change whose outcome is not known it is found out what ended by it, before
// anybody is told that something is so.
//
// An end that is repeated must not undo what began after it. Most ends take away what has a random name. Of the others the
// value of a field that is drawn anew with each life, its sign, is compared first: on, gen, sess, op, pwlife and invite, and
// for the deletion of a client life. Whom this replica has enabled again it does not disable by repeating that.
//
// A replica that has just started takes what it finds. What another replica ended and lost is repeated by that one; if it
// died, by nobody. The embedded store has none of this.
//
// # Records
//
// Each record begins with its version, "1" (a secret's, and the description of a key, stand behind the digest; the
// record of a live key has "k" before it; the keyring has a member v).
// A reader that meets another says [ErrNewerRecord] and one that cannot make sense of a record says
// [ErrUnavailable], which is what every failure of the backend comes to: neither yes nor no, so the request is
// refused. Ends need not understand what they end.
package store

// Package remotekeys is the one fetcher of foreign key sets: of the sets that clients publish at their jwks_uri. Nothing
// that a request carries ever becomes a URL.
//
// # What is reached
//
// Where a set is comes from an operator, and what answers there from a stranger. [Fetcher.CheckURI] knows the form of the
// URL. The address is checked when it is dialled, whatever the name resolved to a moment before (guard.go): only public
// ones, and what MINTKEEP_FETCH_ALLOW lists. Each fetch has connections of its own, so that no check is of another time.
//
// A fetch (fetch.go) is one GET: no redirect, no cookie, no credential, no compression; 5 s, of which 2 s to connect; 256 KiB;
// status 200 and a set with a usable key.
//
// # How long a set is kept
//
// For the max-age of the answer, within 5 minutes and 24 hours (freshness.go). An [entry] has one set, and says what is to be
// done when it is asked for:
//
//	no set                    the request waits for a fetch, with all others that need it
//	fresh                     at once
//	four fifths have passed   at once; a fetch in the background
//	its time is over          the request waits for a fetch; if that fails or is slow, the set is used for up to 24 h more
//	after that                the request waits for a fetch; if that fails or is slow: an error, which is answered 503
//
// A request waits until 800 ms of its time are left, which the store may need.
//
// A failure is remembered: until 10 s later, doubling to 5 minutes, nothing is fetched from the URL, and the present set
// is used. An operator's refresh (the marker refreshed) makes a set old at once: it is not used until the fetch is over.
// [Fetcher.Refetch] is for signatures that no key of the set verifies: it fetches once a minute, however many ask.
//
// A fetch belongs to no request: one that gives up does not stop the fetch that others wait for.
package remotekeys

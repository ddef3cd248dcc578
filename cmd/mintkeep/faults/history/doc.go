// Package history judges what a server has said about credentials while something went wrong.
//
// Concurrent workers write down each call when it is over: when it began, when it ended, what was answered. From this
// alone, [Log.Judge] proves for each credential what Mintkeep promises:
//
//	Resurrected  after an acknowledged end, no check that begins later says live
//	Revived      after a check that said dead, no later one says live, unless it was suspended and resumed, or
//	             Redis has lost an end that nobody was told of
//	Unissued     what nobody was given is never live
//	Refused      what is live is not refused; 503 is no refusal
//	Duplicate    no two credentials are equal
//	Twice        what may happen once happened once
//
// Two calls that overlap may have happened in either order, and a call without an answer, or with a 503, may have been
// carried out at any time since it began, or never: it allows both verdicts and excuses nobody of a third.
package history

// Package invite is the format of the one-time link by which a user sets a password, the first or a later one.
//
// The link ends in a code: 26 characters that name the user and 26 that only its receiver knows. The user can be read
// from the code, so that no index of codes is kept; the store has the digest of the whole.
package invite

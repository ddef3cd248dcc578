// Package invite is the shape of the one-time link by which a person sets a password, the first or another.
//
// The link ends in a code: 26 characters that name the person and 26 that only its receiver knows. Whose it is
// can be read from it, so that no index of codes is kept; the store has the digest of the whole.
package invite

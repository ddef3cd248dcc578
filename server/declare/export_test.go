package declare

// KeysRemoved is for the tests.
var KeysRemoved = keysRemoved

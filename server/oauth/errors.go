package oauth

import (
	"fmt"
	"net/http"

	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/web"
)

// errInvalidClient is the answer to each failed client authentication. The caller does not learn which part was wrong
// (RFC 6749 §5.2).
var errInvalidClient = &web.Error{
	Status: http.StatusUnauthorized, Code: "invalid_client", Description: "Client authentication failed",
	Challenge: `Basic realm="mintkeep"`,
}

var errUnauthorizedClient = &web.Error{
	Status: http.StatusBadRequest, Code: "unauthorized_client",
	Description: "The client is not registered for this grant_type",
}

var errInvalidTarget = &web.Error{
	Status: http.StatusBadRequest, Code: "invalid_target",
	Description: "The client is not registered for a requested resource",
}

var errDifferentTargets = &web.Error{
	Status: http.StatusBadRequest, Code: "invalid_target",
	Description: "audience and resource mean the same here, and must name the same resources; send one of them",
}

// errTokenTooLong: a client that is registered for many resources asked for all of them at once.
var errTokenTooLong = &web.Error{
	Status: http.StatusBadRequest, Code: "invalid_target",
	Description: fmt.Sprintf("The token would be longer than %d bytes; request fewer resources or scopes", bearer.MaxToken),
}

// errForeignToken is RFC 7009 §2.1: the token was not issued to the client that wants to revoke it.
var errForeignToken = &web.Error{
	Status: http.StatusBadRequest, Code: "invalid_grant",
	Description: "The token was not issued to this client",
}

func invalidScope(description string) *web.Error {
	return &web.Error{Status: http.StatusBadRequest, Code: "invalid_scope", Description: description}
}

// errMultipleMethods: a Bearer credential, and client authentication in the body (RFC 6749 §2.3).
var errMultipleMethods = &web.Error{
	Status: http.StatusBadRequest, Code: "invalid_request", Description: "Multiple authentication methods; use one",
}

var errNoToken = &web.Error{Status: http.StatusBadRequest, Code: "invalid_request", Description: "token is missing"}

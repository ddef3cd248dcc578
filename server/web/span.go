package web

import (
	"context"

	"github.com/gin-gonic/gin"

	"github.com/mintkeep/mintkeep/server/tracing"
)

// traced starts the span of a request, in its context.
func (a *Adapter) traced(c *gin.Context) (context.Context, tracing.Request) {
	if a.Tracer == nil {
		return c.Request.Context(), tracing.Request{}
	}
	return a.Tracer.Start(c.Request, c.FullPath(), a.Trusted(peerAddress(c.Request)))
}

// endSpan ends the span of a request that was answered, with an error or without.
func (x *request) endSpan(status int, err error) {
	if x.adapter.Tracer == nil {
		return
	}
	code := ""
	if err != nil {
		code = Code(err)
	}
	x.span.End(status, code, x.reason)
}

// Reason notes why a credential was rejected: one of the reasons of the audit log, which say nothing of whose it is.
func Reason(ctx context.Context, reason string) {
	if x, ok := ctx.Value(requestKey{}).(*request); ok {
		x.reason = reason
	}
}

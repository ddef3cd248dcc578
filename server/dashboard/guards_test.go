package dashboard_test

import (
	"net/http"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Without guards the page says what a guard is and how to connect one; without a feed, that there can be none.
func TestGuardsPageWithoutGuards(t *testing.T) {
	t.Parallel()
	v, _ := chief(t, servertest.New(t, storetest.Embedded(t)))
	v.get("/operator/guards").says("No guard is connected", "mintkeep:introspect", "POST /oauth/changes")
	v.get("/operator/guards?state=late").says("No guard matches.")
	v.get("/operator/guards?state=x").want(http.StatusBadRequest)
	v.get("/operator/guards?cursor=x").want(http.StatusBadRequest)
	off, _ := chief(t, servertest.New(t, storetest.Embedded(t), "MINTKEEP_FEED=off"))
	off.get("/operator/guards").says("This server has no feed", "MINTKEEP_FEED")
}

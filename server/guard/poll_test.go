package guard

import (
	"os"
	"strings"
	"testing"
)

// Two guards of one process are two in the operator's list.
func TestInstancesOfOneProcess(t *testing.T) {
	t.Parallel()
	one, other := instanceName(), instanceName()
	if host, err := os.Hostname(); err != nil || !strings.HasPrefix(one, host+"/") {
		t.Errorf("the name of an instance on %q is %q", host, one)
	}
	if one == other || len(one) > 128 {
		t.Errorf("two guards of one process are %q and %q", one, other)
	}
}

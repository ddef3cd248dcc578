package dashboard

import (
	"fmt"
	"strings"

	"github.com/mintkeep/mintkeep/store"
)

// spark is a chart of 30 days in a row of a list: what was accepted stands on a line, and what was rejected hangs below it.
type spark struct {
	Accepted, Rejected int64
	Above, Below       string // the bars, as the d of a path that is two units wide
}

// A spark is 90 units wide, and 24 high.
const (
	sparkStep  = 3 // a bar of two units for each day, and a gap
	sparkAbove = 16
	sparkBelow = 8
)

func sparkOf(days []store.Day) *spark {
	s := &spark{}
	most := int64(1)
	for _, d := range days {
		s.Accepted += d.Uses
		s.Rejected += d.Rejected
		most = max(most, d.Uses, d.Rejected)
	}
	var above, below strings.Builder
	for i, d := range days {
		x := i*sparkStep + 1
		if d.Uses > 0 {
			fmt.Fprintf(&above, "M%d %dv-%d", x, sparkAbove, max(1, d.Uses*sparkAbove/most))
		}
		if d.Rejected > 0 {
			fmt.Fprintf(&below, "M%d %dv%d", x, sparkAbove+1, max(1, d.Rejected*(sparkBelow-1)/most))
		}
	}
	s.Above, s.Below = above.String(), below.String()
	return s
}

// uses is how often the key was used; 0 without a chart.
func (s *spark) uses() int64 {
	if s == nil {
		return 0
	}
	return s.Accepted
}

//go:build !unix

package fdreserve

import "math"

// descriptorLimit is that there is none.
func descriptorLimit() int { return math.MaxInt }

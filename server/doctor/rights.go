package doctor

import (
	"strings"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// rights checks that the ACL user may do what Mintkeep does. The fix is the ACL rule.
func rights(user string) func(redisdb.Node) Check {
	return func(n redisdb.Node) Check {
		var needed, useful []string
		for _, right := range n.Denied {
			if right.Optional {
				useful = append(useful, right.Rule)
			} else {
				needed = append(needed, right.Rule)
			}
		}
		c := Check{Name: "rights", State: OK, Found: user + " has all rights that Mintkeep needs"}
		switch {
		case n.DeniedErr != nil:
			c.State, c.Found = Unknown, "not known: "+cause(n.DeniedErr)
		case len(needed) > 0:
			c.State, c.Found = Fail, user+" lacks rights that Mintkeep needs: "+strings.Join(needed, " ")
		case len(useful) > 0:
			c.State, c.Found = Warn, user+" has all rights that serve needs; this command and some settings need more: "+strings.Join(useful, " ")
		}
		if len(n.Denied) > 0 {
			c.Fix = setUser(user, append(needed, useful...)...)
		}
		return c
	}
}

func setUser(user string, rules ...string) string {
	return "ACL SETUSER " + user + " " + strings.Join(rules, " ")
}

package dashboard

import (
	"fmt"
	"time"
)

// day is a date: 28 Nov 2026.
func day(t time.Time) string { return t.UTC().Format("2 Jan 2006") }

// moment is a point in time to the minute.
func moment(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

// minute is the same in a column that says UTC.
func minute(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") }

// exact is a point in time to the second, for tooltips.
func exact(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") }

// machine is a point in time as the datetime of an element has it.
func machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// ago tells how long it is since t, or until it, in the largest unit that is not none: "4 s ago", "in 3 days".
func ago(now, t time.Time) string {
	d, form := now.Sub(t), "%s ago"
	if d < 0 {
		d, form = -d, "in %s"
	}
	switch days := int(d / (24 * time.Hour)); {
	case days > 1:
		return fmt.Sprintf(form, fmt.Sprintf("%d days", days))
	case days == 1:
		return fmt.Sprintf(form, "1 day")
	case d >= time.Hour:
		return fmt.Sprintf(form, fmt.Sprintf("%d h", int(d.Hours())))
	case d >= time.Minute:
		return fmt.Sprintf(form, fmt.Sprintf("%d min", int(d.Minutes())))
	case d >= time.Second:
		return fmt.Sprintf(form, fmt.Sprintf("%d s", int(d.Seconds())))
	}
	return "just now"
}

// lasting is a duration in words, in the largest unit that measures it exactly.
func lasting(d time.Duration) string {
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		switch n := d / unit.long; {
		case n == 1 && d == unit.long:
			return "1 " + unit.name
		case n > 1 && d%unit.long == 0:
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return d.String()
}

package dashboard

import (
	"fmt"
	"time"
)

// day is a date in words.
func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

// moment is a point in time to the minute; the page says that all of them are UTC.
func moment(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

// ago tells how long it is since t, or until it, in the largest unit that is not none.
func ago(now, t time.Time) string {
	d, form := now.Sub(t), "%s ago"
	if d < 0 {
		d, form = -d, "in %s"
	}
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if n := int(d / unit.long); n > 1 {
			return fmt.Sprintf(form, fmt.Sprintf("%d %ss", n, unit.name))
		} else if n == 1 {
			return fmt.Sprintf(form, "1 "+unit.name)
		}
	}
	return fmt.Sprintf(form, "less than a minute")
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

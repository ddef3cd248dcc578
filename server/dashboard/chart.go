package dashboard

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

// chart is bars over time, drawn here as SVG, with the same figures as a table for users who cannot see it. It ends with
// the present interval.
type chart struct {
	ID, Title string
	Per       per
	Series    []series // the bars of an interval stand on each other, the first at the bottom
	Bars      []bar
	Ticks     []int64     // of the y axis, from the top
	Times     []time.Time // of the x axis
	Width     int         // of the drawing; the page scales it
}

// per is the length of an interval, in words.
type per struct {
	Unit, Short string
	Format      string // of the time of an interval
	Length      time.Duration
}

var (
	perMinute  = per{"minute", "min", clockFormat, time.Minute}
	perQuarter = per{"15 minutes", "15 min", clockFormat, 15 * time.Minute}
	perDay     = per{"day", "day", "2 Jan", 24 * time.Hour}
)

const clockFormat = "15:04 UTC"

// Seconds is the length of an interval.
func (p per) Seconds() int { return int(p.Length / time.Second) }

// Clock is whether the times are those of a day, which a page shows in the time zone of the reader.
func (p per) Clock() bool { return p.Format == clockFormat }

// Time is a time on the chart.
func (p per) Time(t time.Time) string { return t.UTC().Format(p.Format) }

// series is what is counted of one kind.
type series struct {
	Name        string // "issued"
	Class       string // of its bars: column, or rejected
	Total, Peak int64
	Path        string // all its bars, as the d of a path
}

// bar is one interval, with a value of each series.
type bar struct {
	At     time.Time
	Values []int64
	X      int
}

// Any is whether something was counted.
func (b bar) Any() bool { return b.sum() > 0 }

func (b bar) sum() (n int64) {
	for _, v := range b.Values {
		n += v
	}
	return n
}

const (
	barWidth    = 10
	chartHeight = 100
	leastHeight = 2 // of a value that is not 0, so that it is seen
	timesShown  = 4
)

// draw places the bars.
func (c *chart) draw() *chart {
	var most int64
	for _, b := range c.Bars {
		most = max(most, b.sum())
		for i, v := range b.Values {
			c.Series[i].Total += v
			c.Series[i].Peak = max(c.Series[i].Peak, v)
		}
	}
	c.Ticks, c.Width = ticks(most), barWidth*len(c.Bars)
	paths := make([]strings.Builder, len(c.Series))
	for i := range c.Bars {
		b := &c.Bars[i]
		b.X = i * barWidth
		bottom := float64(chartHeight)
		for j, v := range b.Values {
			if v == 0 {
				continue
			}
			height := max(leastHeight, chartHeight*float64(v)/float64(c.Ticks[0]))
			fmt.Fprintf(&paths[j], "M%d %sh8v-%sh-8z", b.X+1, short(bottom), short(height))
			bottom -= height
		}
	}
	for i := range timesShown { // at equal distances, the first bar and the last included
		c.Times = append(c.Times, c.Bars[(i*(len(c.Bars)-1)+(timesShown-1)/2)/(timesShown-1)].At)
	}
	for i := range c.Series {
		c.Series[i].Path = paths[i].String()
	}
	return c
}

func short(f float64) string { return strconv.FormatFloat(f, 'f', -1, 32) }

// TickY is where the line of a tick is.
func (c *chart) TickY(tick int64) float64 {
	return chartHeight - chartHeight*float64(tick)/float64(c.Ticks[0])
}

// ticks are round numbers from one that is at least most down to 0, in equal steps, at most five.
func ticks(most int64) (list []int64) {
	step := int64(1)
	for i := 0; step*4 < most; i++ {
		if i%3 == 1 { // 1, 2, 5, 10
			step = step / 2 * 5
		} else {
			step *= 2
		}
	}
	for tick := max((most+step-1)/step, 1) * step; tick >= 0; tick -= step {
		list = append(list, tick)
	}
	return list
}

// usesChart draws the uses of a key by the day: those that were accepted, and the others.
func usesChart(days []store.Day) *chart {
	c := &chart{ID: "uses", Title: "Uses", Per: perDay, Series: []series{{Name: "accepted", Class: "column"}, {Name: "rejected", Class: "rejected"}}}
	for _, d := range days {
		c.Bars = append(c.Bars, bar{At: d.Start, Values: []int64{d.Uses, d.Rejected}})
	}
	return c.draw()
}

// requestsChart draws token requests: the tokens that were issued, and the rejections.
func requestsChart(counted []store.Counts, p per) *chart {
	c := &chart{ID: "requests", Title: "Token requests", Per: p, Series: []series{{Name: "issued", Class: "column"}, {Name: "rejected", Class: "rejected"}}}
	return c.over(counted, func(n store.Counts) int64 { return n.Issued }, store.Counts.Rejected)
}

// countsChart draws one kind of what is counted.
func countsChart(id, title string, counted []store.Counts, p per, value func(store.Counts) int64) *chart {
	c := &chart{ID: id, Title: title, Per: p, Series: []series{{Class: "column"}}}
	return c.over(counted, value)
}

// over draws what was counted. The counts may be of shorter intervals than those of the chart.
func (c *chart) over(counted []store.Counts, values ...func(store.Counts) int64) *chart {
	for _, n := range counted {
		at := n.Start.Truncate(c.Per.Length)
		if last := len(c.Bars) - 1; last < 0 || c.Bars[last].At.Before(at) {
			c.Bars = append(c.Bars, bar{At: at, Values: make([]int64, len(values))})
		}
		b := &c.Bars[len(c.Bars)-1]
		for i, value := range values {
			b.Values[i] += value(n)
		}
	}
	return c.draw()
}

// number is a number with a comma between thousands.
func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// plural is the noun for a number of things, which stands before it.
func plural(n int64, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

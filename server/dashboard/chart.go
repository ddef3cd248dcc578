package dashboard

import (
	"github.com/mintkeep/mintkeep/store"
)

// chart is a row of bars, drawn here as SVG, with the same figures as a table for users who cannot see it.
type chart struct {
	Title string
	Unit  string // what one is: "use"
	Bars  []bar
	Total int64
	Most  int64
	From  string // what the first bar is of, and the last
	To    string
}

// bar is one of them, in the units of the drawing.
type bar struct {
	Label      string
	Value      int64
	X, Y, W, H float64
}

// The drawing is so large; the page scales it.
const (
	chartWidth  = 600
	chartHeight = 100
)

// draw places the bars. One that is not none is seen, however small.
func (c *chart) draw() *chart {
	for _, b := range c.Bars {
		c.Total += b.Value
		c.Most = max(c.Most, b.Value)
	}
	step := float64(chartWidth) / float64(max(len(c.Bars), 1))
	for i := range c.Bars {
		b := &c.Bars[i]
		b.X, b.W = float64(i)*step+step*0.1, step*0.8
		if b.Value > 0 {
			b.H = max(2, chartHeight*float64(b.Value)/float64(c.Most))
		}
		b.Y = chartHeight - b.H
	}
	if n := len(c.Bars); n > 0 {
		c.From, c.To = c.Bars[0].Label, c.Bars[n-1].Label
	}
	return c
}

// usesChart draws the uses of a key by the day.
func usesChart(days []store.Day) *chart {
	c := &chart{Title: "Uses a day", Unit: "use"}
	for _, d := range days {
		c.Bars = append(c.Bars, bar{Label: d.Start.Format("2 Jan"), Value: d.Uses})
	}
	return c.draw()
}

// minutesChart draws what was counted, so many minutes to a bar.
func minutesChart(title, unit string, minutes []store.Minute, width int, value func(store.Minute) int64) *chart {
	c := &chart{Title: title, Unit: unit}
	for i := 0; i < len(minutes); i += width {
		b := bar{Label: minutes[i].Start.UTC().Format("15:04")}
		for _, m := range minutes[i:min(i+width, len(minutes))] {
			b.Value += value(m)
		}
		c.Bars = append(c.Bars, b)
	}
	return c.draw()
}

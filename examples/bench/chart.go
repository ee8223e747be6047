package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"text/template"
)

// panel is one part of the chart: a table as horizontal bars.
type panel struct{ table, title string }

// panels are the parts, two in a row. Those whose tables were not measured are left out.
var panels = []panel{
	{"hits", "A hit"},
	{"hits-many", "A hit among more entries"},
	{"hot", "A hit of one hot key"},
	{"writes", "Hits and writes"},
	{"miss", "A miss"},
	{"memory", "Memory"},
}

// chartNotes explain the numbers of the chart; the tables say more.
var chartNotes = []string{
	"Median of the rounds; in brackets the median of the rounds' ratios to the bare map. Times passed by what all readers together have done.",
	"Hits by the loading call, with statistics where there are any. ristretto, sync.Map and the maps have no loading call: a plain look-up.",
}

// The measures of the drawing, in pixels.
const (
	chartWidth  = 960
	panelWidth  = chartWidth / 2
	margin      = 24
	nameWidth   = 112
	numberWidth = 108
	barHeight   = 16
	barStep     = 24
	headHeight  = 64
	titleHeight = 50
	lineHeight  = 16
)

// longest is how many times DataWorker's bar the longest one may be: one slow contestant
// would leave the others too short to be told apart. A bar that is cut short says so.
const longest = 6

// bar is one row of a panel, drawn.
type bar struct {
	X, Y, Width    int
	Fill           string
	Name, Number   string
	NameX, NumberX int
	TextY          int
	Weight         string
	Cut            string // the path of the mark on a bar that is too long to be drawn
}

type drawnPanel struct {
	Title  string
	Below  string
	BelowY int
	TitleX int
	TitleY int
	Bars   []bar
}

type drawing struct {
	Width, Height int
	// Of the frame, whose line is half outside of it.
	InnerWidth, InnerHeight int
	Margin                  int
	Panels                  []drawnPanel
	Caption                 []captionLine
	Label                   string
}

type captionLine struct {
	Y    int
	Text string
}

var palette = map[string]string{dataWorker: "#0969da", bareMap: "#8c959f", "": "#b6c2cf"}

// chart draws the tables as a picture for a page that may be light or dark: it brings its
// background along.
func chart(tables []*table, about []string) []byte {
	d := drawing{Width: chartWidth, Margin: margin, Label: "DataWorker and its peers: shorter bars are better"}
	at, deepest := headHeight, 0
	column := 0
	for _, p := range panels {
		t := find(tables, p.table)
		if t == nil {
			continue
		}
		drawn, height := p.draw(t, column*panelWidth, at)
		d.Panels = append(d.Panels, drawn)
		deepest = max(deepest, height)
		if column++; column == 2 {
			at, deepest, column = at+deepest, 0, 0
		}
	}
	at += deepest
	for _, line := range slices.Concat(about, chartNotes) {
		at += lineHeight
		d.Caption = append(d.Caption, captionLine{at, line})
	}
	d.Height = at + margin
	d.InnerWidth, d.InnerHeight = d.Width-1, d.Height-1

	var out bytes.Buffer
	if err := svg.Execute(&out, d); err != nil {
		panic(err) // the template and the drawing are both ours
	}
	return out.Bytes()
}

func find(tables []*table, name string) *table {
	for _, t := range tables {
		if t.name == name {
			return t
		}
	}
	return nil
}

// draw places the bars of a table, and says how high they are together.
func (p panel) draw(t *table, left, top int) (drawnPanel, int) {
	unit := t.unit
	if t.apart {
		unit = "times the " + t.base
	}
	drawn := drawnPanel{Title: p.title + ", " + unit, Below: t.title, TitleX: left + margin, TitleY: top + 18, BelowY: top + 36}
	room := float64(panelWidth - margin - nameWidth - numberWidth)
	rows := t.sorted()
	limit := t.size(rows[len(rows)-1])
	if ours := t.row(dataWorker); ours != nil {
		limit = min(limit, longest*t.size(ours))
	}
	for i, r := range rows {
		y := top + titleHeight + i*barStep
		size := t.size(r)
		width := int(room * min(size, limit) / max(limit, 1e-9))
		b := bar{
			X: left + margin + nameWidth, Y: y, Width: max(1, width),
			Name: shortName(r.name), NameX: left + margin + nameWidth - 8, TextY: y + barHeight - 4,
			Number: digits(size), NumberX: left + margin + nameWidth + max(1, width) + 6,
			Fill: palette[""], Weight: "400",
		}
		if fill, ok := palette[r.name]; ok {
			b.Fill = fill
		}
		if r.name == dataWorker {
			b.Weight = "600"
		}
		if t.base == bareMap && !t.apart && r.name != bareMap {
			b.Number += " (" + times(spreadOf(ratios(r.samples, r.against)).median) + ")"
		}
		if size > limit {
			b.Cut = fmt.Sprintf("M%d %d l6 -%d h6 l-6 %d z", b.X+b.Width-18, y+barHeight, barHeight, barHeight)
		}
		drawn.Bars = append(drawn.Bars, b)
	}
	return drawn, titleHeight + len(rows)*barStep + 10
}

// shortName fits in front of a bar.
func shortName(name string) string {
	if name == requestFuture {
		return "RequestFuture"
	}
	return name
}

func escaped(text string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(text)) // a Builder takes everything
	return out.String()
}

var svg = template.Must(template.New("chart").Funcs(template.FuncMap{"xml": escaped}).Parse(
	`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}" role="img" aria-label="{{xml .Label}}" font-family="-apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="12">
<rect x="0.5" y="0.5" width="{{.InnerWidth}}" height="{{.InnerHeight}}" rx="8" fill="#ffffff" stroke="#d0d7de"/>
<text x="{{.Margin}}" y="38" font-size="18" font-weight="600" fill="#1f2328">{{xml .Label}}</text>
{{range .Panels}}<text x="{{.TitleX}}" y="{{.TitleY}}" font-size="13" font-weight="600" fill="#1f2328">{{xml .Title}}</text>
<text x="{{.TitleX}}" y="{{.BelowY}}" font-size="10.5" fill="#59636e">{{xml .Below}}</text>
{{range .Bars}}<text x="{{.NameX}}" y="{{.TextY}}" text-anchor="end" font-weight="{{.Weight}}" fill="#1f2328">{{xml .Name}}</text>
<rect x="{{.X}}" y="{{.Y}}" width="{{.Width}}" height="16" rx="2" fill="{{.Fill}}"/>
{{with .Cut}}<path d="{{.}}" fill="#ffffff"/>
{{end}}<text x="{{.NumberX}}" y="{{.TextY}}" font-weight="{{.Weight}}" fill="#59636e">{{xml .Number}}</text>
{{end}}{{end}}{{range .Caption}}<text x="24" y="{{.Y}}" font-size="10.5" fill="#59636e">{{xml .Text}}</text>
{{end}}</svg>
`))

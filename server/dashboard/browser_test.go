package dashboard_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	cdpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/mintkeep/mintkeep/server/servertest"
)

// patience is how long a page may take to do what a test waits for.
const patience = time.Minute

// closeBrowser stops the browser, if a test has started it.
var closeBrowser = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	closeBrowser()
	os.Exit(code)
}

// browser is the one process that the tests of this package share. It cannot resolve any name.
var browser = sync.OnceValues(func() (context.Context, error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium()),
		chromedp.DisableGPU,
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("hide-scrollbars", false),
		// Those of chromedp, and what starts more processes than a tab needs: the pages of the browser itself, such as its
		// search of tabs, and for each page that is opened a new one, so that the way back is fast.
		chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,PreloadTopChromeWebUI,WebUIOmniboxPopup,"+
			"BackForwardCache,SpareRendererForSitePerProcess"),
	)
	if os.Getuid() == 0 { // whom Chromium gives no sandbox
		options = append(options, chromedp.NoSandbox)
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	closeBrowser = func() {
		_ = chromedp.Cancel(ctx)
		stop()
	}
	return ctx, chromedp.Do(ctx)
})

// chromium is the path of a browser; empty if none is installed. The one without windows is first: it needs a third less of
// the processor.
func chromium() string {
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// needChromium skips the test where no browser is installed, or fails it where there has to be one. It skips it with -short.
func needChromium(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("it is left out of the step with the race detector, for its time; the other steps run it")
	}
	if chromium() != "" {
		return
	}
	if slices.Contains(strings.Split(os.Getenv("MINTKEEP_TEST_REQUIRE"), ","), "chromium") {
		t.Fatal("chromium is not installed, and MINTKEEP_TEST_REQUIRE asks for it")
	}
	t.Skip("chromium is not installed")
}

// tab is a window of the browser, with cookies of its own. When the test ends it checks that every request went to the
// server, none after a page had loaded, unless the page keeps itself up to date, and that no page logged an error on the
// console.
type tab struct {
	t   testing.TB
	s   *servertest.Server
	ctx context.Context

	live bool // the page asks for more than itself

	mu     sync.Mutex
	loaded bool
	wrong  []string
}

// look is how a browser shows the pages.
type look struct {
	Name          string
	Width, Height int64
	Dark          bool
	NoScript      bool
}

var desk = look{Name: "desk", Width: 1280, Height: 900}

func openTab(t testing.TB, s *servertest.Server, l look) *tab {
	t.Helper()
	needChromium(t)
	parent, err := browser()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	b := &tab{t: t, s: s, ctx: ctx}
	if err := chromedp.Listen(ctx, b.watch); err != nil {
		t.Fatal(err)
	}
	tell(b, network.Enable, network.EnableParams{})
	b.become(l)
	t.Cleanup(func() {
		cancel()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, what := range b.wrong {
			t.Error(what)
		}
	})
	return b
}

// become changes how the pages are seen.
func (b *tab) become(l look) {
	b.t.Helper()
	scheme := "light"
	if l.Dark {
		scheme = "dark"
	}
	tell(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.NoScript})
	tell(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}, //nolint:misspell // as CSS spells it
	})
	tell(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: l.Width, Height: l.Height, DeviceScaleFactor: 1, Mobile: l.Width < 600,
	})
}

func (b *tab) watch(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Type == network.ResourceTypeDocument {
			b.loaded = false
		}
		switch {
		case strings.HasPrefix(e.Request.URL, "data:"): // a picture of the browser's own, in a field: our policy allows none
		case !strings.HasPrefix(e.Request.URL, b.s.URL+"/"):
			b.wrong = append(b.wrong, "a page has asked another origin for "+e.Request.URL)
		case e.Type == network.ResourceTypeFetch && (b.live || withoutQuery(e.Request.URL) == withoutQuery(e.DocumentURL)): // a refresh
		case b.loaded && e.Type != network.ResourceTypeOther: // such as the icon of the tab
			b.wrong = append(b.wrong, "a page that had loaded has asked for "+e.Request.URL)
		}
	case *cdpage.EventLoadEventFired:
		b.loaded = true
	}
}

func withoutQuery(address string) string {
	path, _, _ := strings.Cut(address, "?")
	return path
}

// run runs an action, and fails the test if it cannot be done in time.
func run[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	answer, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("%v\n%s", err, b.visible())
	}
	return answer
}

// tell gives the browser a command.
func tell[P, R any](b *tab, command cdp.Command[P, R], with P) R {
	b.t.Helper()
	answer, err := chromedp.Call(b.ctx, command, with)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer
}

// visible is what can be read on the page.
func (b *tab) visible() string {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	return text
}

// open goes to a page.
func (b *tab) open(path string) {
	b.t.Helper()
	run(b, chromedp.Navigate(b.s.URL+path))
}

// settle waits until the page was painted: only then has the focus gone where the page wants it.
func (b *tab) settle() {
	b.t.Helper()
	const painted = `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`
	run(b, chromedp.Evaluate[bool](painted, chromedp.EvalAwaitPromise))
}

// press clicks on what leads to another page, and waits until that has loaded.
func (b *tab) press(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
		b.t.Fatalf("press %s: %v\n%s", selector, err, b.visible())
	}
}

// fill types into a field.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	asked[bool](b, fmt.Sprintf(`(e => { e.value = ""; e.focus(); return true })(document.querySelector(%q))`, selector))
	tell(b, input.InsertText, input.InsertTextParams{Text: text})
}

// says fails the test unless the page says these words.
func (b *tab) says(words ...string) {
	b.t.Helper()
	text := strings.Join(strings.Fields(b.visible()), " ")
	for _, w := range words {
		if !strings.Contains(text, w) {
			b.t.Fatalf("the page does not say %q:\n%s", w, text)
		}
	}
}

// value is that of a field.
func (b *tab) value(selector string) string {
	b.t.Helper()
	return run(b, chromedp.Value(chromedp.CSS(selector)))
}

// asked is what a script on the page answers.
func asked[T any](b *tab, script string) T {
	b.t.Helper()
	return run(b, chromedp.Evaluate[T](script))
}

package dashboard

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"campaignd/internal/display"
)

// zoneCookie is the cookie in which the script stores the browser's time zone.
const zoneCookie = "campaignd_zone"

// viewer is the time zone and the time for which a page is rendered.
type viewer struct {
	zone *time.Location
	now  time.Time
}

// viewerOf uses the browser's time zone if it is known, else UTC.
func viewerOf(r *http.Request) viewer {
	l := viewer{time.UTC, time.Now()}
	if cookie, err := r.Cookie(zoneCookie); err == nil && len(cookie.Value) < 64 {
		if zone, err := time.LoadLocation(strings.ReplaceAll(cookie.Value, "%2F", "/")); err == nil && zone != time.Local {
			l.zone = zone
		}
	}
	return l
}

// moment is an instant, formatted for a page.
type moment struct {
	ISO  string // for machines
	Full string // with date and zone
	Text string // as short as it is unambiguous
}

func (l viewer) moment(at time.Time) moment {
	if at.IsZero() {
		return moment{}
	}
	local, now := at.In(l.zone), l.now.In(l.zone)
	text := local.Format("2 Jan 2006, 15:04")
	switch days := at.Sub(l.now).Abs().Hours() / 24; {
	case local.Format(time.DateOnly) == now.Format(time.DateOnly):
		text = local.Format("15:04")
	case days < 6:
		text = local.Format("Mon 15:04")
	case local.Year() == now.Year():
		text = local.Format("2 Jan, 15:04")
	}
	return moment{at.UTC().Format(time.RFC3339), local.Format("Monday 2 January 2006, 15:04:05 MST"), text}
}

// step formats an instant precisely enough to distinguish it from one a step away.
func (l viewer) step(at time.Time, step time.Duration) moment {
	m := l.moment(at)
	if step < time.Minute && strings.HasSuffix(m.Text, at.In(l.zone).Format("15:04")) {
		m.Text += at.In(l.zone).Format(":05")
	}
	return m
}

// percent formats a percentage with one decimal. 0% means nothing, and 100% everything.
func percent(p float64) string {
	switch {
	case p > 0 && p < 0.1:
		return "<0.1%"
	case p == 0 || p == 100:
		return strconv.Itoa(int(p)) + "%"
	}
	return strconv.FormatFloat(math.Floor(10*p)/10, 'f', 1, 64) + "%"
}

// rate formats messages a second, or a minute if there is less than one a second.
func rate(perSecond float64) string {
	switch {
	case perSecond <= 0:
		return ""
	case perSecond >= 10:
		return display.Number(uint64(math.Round(perSecond))) + " a second"
	case perSecond >= 1:
		return strconv.FormatFloat(perSecond, 'f', 1, 64) + " a second"
	case perSecond*60 >= 1:
		return display.Number(uint64(math.Round(perSecond*60))) + " a minute"
	default:
		return "under one a minute"
	}
}

// duration formats a length of time in its two largest units.
func duration(d time.Duration) string {
	d = d.Round(time.Second)
	days, hours, minutes, seconds := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60, int(d.Seconds())%60
	two := func(a int, unit string, b int, next string) string {
		if b == 0 {
			return fmt.Sprintf("%d %s", a, unit)
		}
		return fmt.Sprintf("%d %s %d %s", a, unit, b, next)
	}
	switch {
	case days > 0:
		return two(days, "d", hours, "h")
	case hours > 0:
		return two(hours, "h", minutes, "min")
	case minutes > 0:
		return two(minutes, "min", seconds, "s")
	default:
		return fmt.Sprintf("%d s", seconds)
	}
}

// sentence capitalizes text and ends it with a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	runes := []rune(text)
	// A file name or a key keeps its spelling.
	if first, _, _ := strings.Cut(text, " "); strings.ToLower(first) == first && !strings.ContainsAny(first, "._/0123456789") {
		runes[0] = unicode.ToUpper(runes[0])
	}
	if !strings.ContainsRune(".!?", runes[len(runes)-1]) {
		runes = append(runes, '.')
	}
	return string(runes)
}

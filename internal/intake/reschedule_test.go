package intake

import (
	"errors"
	"testing"
)

func TestRescheduleFileNamesATimeAndNothingElse(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{`{"scheduleAt": "2026-03-01T09:30:00Z"}`, ""},
		{`{"delay": "PT2H"}`, ""},
		{`{}`, `it names no time; want {"scheduleAt": "2026-03-01T09:30:00Z"} or {"delay": "PT2H"}; nothing was changed`},
		{`{"delay": "PT2H", "rows": 3, "campaignId": 7}`, `campaignId, rows can't be changed any more, only the time; want {"scheduleAt": "2026-03-01T09:30:00Z"} or {"delay": "PT2H"}; nothing was changed`},
		{`{"delay": "PT2H", "scheduleAt": "2026-03-01T09:30:00Z"}`, `a.reschedule.json:1:33: delay: scheduleAt and delay can't both be given; keep one of them; nothing was changed`},
	} {
		got := ""
		if _, err := ParseReschedule("a.reschedule.json", []byte(c.file)); err != nil {
			got = err.Error()
			if _, ok := errors.AsType[*NotRescheduled](err); !ok {
				t.Errorf("%s: %T, want *NotRescheduled", c.file, err)
			}
		}
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.file, got, c.want)
		}
	}
}

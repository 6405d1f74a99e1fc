package optouts

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"campaignd/internal/config"
	"campaignd/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// groups remembers the sizes of the groups in which opt-outs came.
type groups []int

func (g *groups) AddOptOuts(list []store.OptOut) (int, error) {
	*g = append(*g, len(list))
	return len(list), nil
}

// A long list is added in several groups, each of a size that memory can hold.
func TestLongListIsAddedInGroups(t *testing.T) {
	var b strings.Builder
	b.WriteString("contactCode\n")
	for i := range groupSize + 1 {
		b.WriteString(strconv.Itoa(i) + "\n")
	}
	path := filepath.Join(t.TempDir(), "x.suppress.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got groups
	done, err := List{Name: "x.suppress.csv", Config: &config.Config{}, Applications: []int64{1}}.Import(t.Context(), &got, f)
	if err != nil {
		t.Fatal(err)
	}
	if done.Rows != groupSize+1 || done.Added != done.Rows {
		t.Errorf("got %d rows and %d added, want %d of both", done.Rows, done.Added, groupSize+1)
	}
	if len(got) < 2 {
		t.Errorf("got groups of %v, want at least two", got)
	}
}

// A file that can't be read is an error of the machine, not of the list.
func TestUnreadableListIsAnError(t *testing.T) {
	f, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := (List{Name: "a folder", Config: &config.Config{}}).Import(t.Context(), nil, f); err == nil {
		t.Error("got no error for a folder")
	}
}

// The report on a refused list keeps its lines: the full stop ends the first one.
func TestRefusalOfSeveralLines(t *testing.T) {
	for reason, want := range map[string]string{
		"it is empty":               "x was not taken in and nobody in it is opted out: it is empty.",
		"2 lines are bad\n\nx:1: a": "x was not taken in and nobody in it is opted out: 2 lines are bad.\n\nx:1: a",
	} {
		if diff := cmp.Diff(want, Refusal("x", reason)); diff != "" {
			t.Error(diff)
		}
	}
}

package media

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"campaignd/internal/campaign"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// folder is a campaigns_dir and a state folder.
type folder struct {
	*Files
	t           *testing.T
	dir, copies string
}

func newFolder(t *testing.T) *folder {
	dir, copies := t.TempDir(), filepath.Join(t.TempDir(), "media")
	return &folder{New(func() string { return dir }, copies), t, dir, copies}
}

// look writes a file and returns what a sending keeps of it.
func (f *folder) look(name, content string) campaign.MediaFile {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
	file, size, err := f.Open(name)
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close()
	sum, err := f.Hash(file)
	if err != nil {
		f.t.Fatal(err)
	}
	return campaign.MediaFile{Name: name, SHA256: sum, Size: size}
}

func (f *folder) keep(list ...campaign.MediaFile) {
	f.t.Helper()
	if err := f.Keep(list); err != nil {
		f.t.Fatal(err)
	}
}

// content returns what a sending would send.
func (f *folder) content(m campaign.MediaFile) (string, error) {
	file, err := f.Content(m)
	if err != nil {
		return "", err
	}
	defer file.Close()
	b, err := os.ReadFile(file.Name())
	return string(b), err
}

func TestChangedFileDoesNotReachAnAcceptedSending(t *testing.T) {
	f := newFolder(t)
	first := f.look("a.jpg", "one")
	f.keep(first)
	second := f.look("a.jpg", "two")
	f.keep(second)
	for want, m := range map[string]campaign.MediaFile{"one": first, "two": second} {
		if got, err := f.content(m); got != want || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}

func TestFileChangedBetweenCheckAndCopy(t *testing.T) {
	f := newFolder(t)
	m := f.look("a.jpg", "one")
	f.look("a.jpg", "two")
	if err := f.Keep([]campaign.MediaFile{m}); !errors.Is(err, errChanged) {
		t.Errorf("got %v, want errChanged", err)
	}
	if entries, err := os.ReadDir(f.copies); err != nil || len(entries) != 0 {
		t.Errorf("copies %v, %v; want none", entries, err)
	}
}

func TestTruncatedCopyIsNotSent(t *testing.T) {
	f := newFolder(t)
	m := f.look("a.jpg", "one")
	f.keep(m)
	if err := os.Truncate(filepath.Join(f.copies, m.SHA256), 1); err != nil {
		t.Fatal(err)
	}
	if got, err := f.content(m); got != "one" || err != nil {
		t.Errorf("got %q, %v; want the file in its place", got, err)
	}
	f.keep(m) // the next acceptance makes it whole
	f.look("a.jpg", "two")
	if got, err := f.content(m); got != "one" || err != nil {
		t.Errorf("got %q, %v; want the new copy", got, err)
	}
}

func TestContentThatIsGone(t *testing.T) {
	f := newFolder(t)
	m := f.look("a.jpg", "one")
	f.look("a.jpg", "six")
	if _, err := f.content(m); !errors.Is(err, ErrGone) {
		t.Errorf("got %v, want ErrGone", err)
	}
	if err := os.Remove(filepath.Join(f.dir, "a.jpg")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.content(m); !errors.Is(err, ErrGone) {
		t.Errorf("got %v, want ErrGone", err)
	}
}

func TestCollectRemovesOnlyWhatNobodyNeeds(t *testing.T) {
	f := newFolder(t)
	needed, old, young := f.look("a.jpg", "one"), f.look("b.jpg", "two"), f.look("c.jpg", "three")
	f.keep(needed, old, young)
	yesterday := time.Now().Add(-25 * time.Hour)
	for _, m := range []campaign.MediaFile{needed, old} {
		if err := os.Chtimes(filepath.Join(f.copies, m.SHA256), yesterday, yesterday); err != nil {
			t.Fatal(err)
		}
	}
	n, err := f.Collect(func() (map[string]bool, error) { return map[string]bool{needed.SHA256: true}, nil }, time.Now().Add(-24*time.Hour))
	if n != 1 || err != nil {
		t.Fatalf("removed %d, %v; want 1", n, err)
	}
	for m, want := range map[campaign.MediaFile]bool{needed: true, old: false, young: true} {
		if _, err := os.Stat(filepath.Join(f.copies, m.SHA256)); (err == nil) != want {
			t.Errorf("%s: there %v, want %v", m.Name, err == nil, want)
		}
	}
	// A drop that is accepted again keeps an old copy alive.
	if err := os.Chtimes(filepath.Join(f.copies, needed.SHA256), yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	f.keep(needed)
	if n, err := f.Collect(func() (map[string]bool, error) { return nil, nil }, time.Now().Add(-24*time.Hour)); n != 0 || err != nil {
		t.Errorf("removed %d, %v; want 0", n, err)
	}
}

func TestCollectWithoutCopiesAsksNobody(t *testing.T) {
	f := newFolder(t)
	n, err := f.Collect(func() (map[string]bool, error) { t.Error("asked"); return nil, nil }, time.Now())
	if n != 0 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

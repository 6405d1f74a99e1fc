package watch

import (
	"os"
	"strings"
	"testing"
	"time"
)

// upload writes the CSV of drop a in three parts, ten seconds apart, and calls
// between after each but the last.
func upload(b *inbox, f *os.File, between func()) {
	b.t.Helper()
	for i := range 3 {
		_, err := f.WriteString(strings.Repeat("1,2,3\n", 1000))
		b.do(err)
		if i < 2 {
			b.pass(10 * time.Second)
			between()
		}
	}
}

// The system calls of SFTP clients. No file may be handed over before its upload has
// ended, and each must be soon after.
func TestClients(t *testing.T) {
	old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for name, client := range map[string]func(b *inbox, untold func()){
		"sftp put, scp, curl, paramiko put": func(b *inbox, untold func()) {
			f := hold(b.t, b.path("a.csv"))
			upload(b, f, untold)
			b.do(f.Close())
		},
		"sftp put -p, lftp put": func(b *inbox, untold func()) {
			f := hold(b.t, b.path("a.csv"))
			upload(b, f, untold)
			b.do(os.Chtimes(b.path("a.csv"), old, old), f.Close())
		},
		"rclone inplace: attrib after close": func(b *inbox, untold func()) {
			f := hold(b.t, b.path("a.csv"))
			upload(b, f, untold)
			b.do(f.Close())
			b.pass(1500 * time.Millisecond)
			untold()
			b.do(os.Chtimes(b.path("a.csv"), old, old), os.Chmod(b.path("a.csv"), 0o644))
			b.pass(1500 * time.Millisecond)
			untold() // the attributes have begun the quiet time anew
		},
		"rclone: .partial, then moved in": func(b *inbox, untold func()) {
			f := hold(b.t, b.path("a.csv.0123abcd.partial"))
			upload(b, f, untold)
			b.do(f.Close(), os.Chtimes(b.path("a.csv.0123abcd.partial"), old, old), os.Rename(b.path("a.csv.0123abcd.partial"), b.path("a.csv")))
		},
		"sftp put + rename, posix_rename": func(b *inbox, untold func()) {
			f := hold(b.t, b.path("a.csv.tmp"))
			upload(b, f, untold)
			b.do(f.Close(), os.Rename(b.path("a.csv.tmp"), b.path("a.csv")))
		},
		"renamed while still open": func(b *inbox, untold func()) {
			f := hold(b.t, b.path("a.csv.filepart"))
			b.do(os.Rename(b.path("a.csv.filepart"), b.path("a.csv")))
			upload(b, f, untold)
			b.do(f.Close())
		},
		"lftp use-temp-file, rename of SFTP v3: link + unlink": func(b *inbox, untold func()) {
			f := hold(b.t, b.path("a.csv.tmp"))
			upload(b, f, untold)
			b.do(f.Close(), os.Link(b.path("a.csv.tmp"), b.path("a.csv")))
			b.pass(5 * time.Second)
			untold()
			b.do(os.Remove(b.path("a.csv.tmp")))
		},
		"put over an existing name": func(b *inbox, untold func()) {
			b.put("a.csv")
			b.pass(time.Second)
			f, err := os.OpenFile(b.path("a.csv"), os.O_WRONLY|os.O_TRUNC, 0)
			b.do(err)
			upload(b, f, untold)
			b.do(f.Close())
		},
		"sftp reput of a cut upload": func(b *inbox, untold func()) {
			f := hold(b.t, b.path("a.csv"))
			_, err := f.WriteString("1,2")
			b.do(err, f.Close())
			b.pass(1900 * time.Millisecond)
			untold()
			f = hold(b.t, b.path("a.csv"))
			upload(b, f, untold)
			b.do(f.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, standard(), func(b *inbox) {
				b.run()
				b.put("a.layout.json", "a.schedule.json")
				client(b, func() { b.want("a") })
				ended := time.Since(b.start)
				b.want("a")
				b.pass(5 * time.Second)
				b.want("a", "ready")
				if c := b.first("ready", "a"); c != nil && c.at-ended > 4*time.Second {
					t.Errorf("ready %v after the upload's end", c.at-ended)
				}
			})
		})
	}
}

// A frozen client: no event, a constant size, an open file.
func TestFrozenUpload(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.layout.json", "a.schedule.json")
		f := hold(t, b.path("a.csv"))
		_, err := f.WriteString("39%")
		b.do(err)
		b.run()
		b.pass(59 * time.Minute)
		b.want("a")
		if c := b.w.Counts(); c.Pending != 1 {
			t.Errorf("counts are %+v", c)
		}
		b.pass(2 * time.Minute) // pair_timeout after its last byte
		b.want("a", "incomplete")
		if got := troubles(b.first("incomplete", "a").drop); got != "a.csv: is still open for writing; end the upload, or put the file again" {
			t.Errorf("trouble is %q", got)
		}
		b.do(f.Close())
	})
}

// An interrupted upload looks complete to the watcher and is handed over; intake finds
// what is missing. After it is resumed it counts as new.
func TestResumedUploadCountsAsNew(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.csv", "a.layout.json", "a.schedule.json")
		b.run()
		b.pass(5 * time.Second)
		b.want("a", "ready")
		before := b.first("ready", "a").drop
		f := hold(t, b.path("a.csv"))
		_, err := f.WriteString("the rest")
		b.do(err)
		told := len(b.all())
		b.pass(10 * time.Second)
		if len(b.all()) != told {
			t.Error("told of a file that is being written")
		}
		b.do(f.Close())
		b.pass(5 * time.Second)
		all := b.all()
		after := all[len(all)-1].drop
		if after.CSV.ID == before.CSV.ID {
			t.Errorf("got the file %v again, want another", after.CSV.ID)
		}
		if !after.QuietSince.After(before.QuietSince) {
			t.Errorf("quiet since %v, want later than %v", after.QuietSince, before.QuietSince)
		}
		if !after.FirstSeen.Equal(before.FirstSeen) {
			t.Errorf("first seen at %v, want %v", after.FirstSeen, before.FirstSeen)
		}
	})
}

// An open file is asked for a lease again, although closing it causes no event.
func TestBusyFileIsAskedAgain(t *testing.T) {
	opt := standard()
	opt.Rescan = every(time.Hour) // not even a rescan is needed
	bubble(t, opt, func(b *inbox) {
		b.put("a.layout.json", "a.schedule.json")
		f := hold(t, b.path("a.csv"))
		b.run()
		b.pass(time.Minute)
		b.want("a")
		b.do(f.Close())
		b.pass(2 * time.Second)
		b.want("a", "ready")
	})
}

// mtime is the sender's to choose: neither an old nor a future one settles or holds anything.
func TestOldModTime(t *testing.T) {
	for _, year := range []int{1971, 2099} {
		bubble(t, standard(), func(b *inbox) {
			b.put("a.layout.json", "a.schedule.json", "a.csv")
			when := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
			b.do(os.Chtimes(b.path("a.csv"), when, when))
			b.run()
			b.pass(1900 * time.Millisecond)
			b.want("a")
			// Written, with the size and the mtime it had before: ctime tells.
			f, err := os.OpenFile(b.path("a.csv"), os.O_WRONLY, 0)
			b.do(err)
			_, err = f.WriteAt([]byte("C"), 0)
			b.do(err, f.Close(), os.Chtimes(b.path("a.csv"), when, when))
			b.pass(1900 * time.Millisecond)
			b.want("a")
			b.pass(2 * time.Second)
			b.want("a", "ready")
		})
	}
}

func TestTwoLinks(t *testing.T) {
	// For a moment: an SFTP rename. See TestClients, and for good:
	bubble(t, standard(), func(b *inbox) {
		b.put("elsewhere.bin", "a.layout.json", "a.schedule.json")
		b.do(os.Link(b.path("elsewhere.bin"), b.path("a.csv")))
		b.run()
		b.pass(19 * time.Second)
		b.want("a")
		b.pass(3 * time.Second)
		b.want("a", "refused")
		d := b.first("refused", "a").drop
		switch {
		case d.CSV != nil:
			t.Errorf("d.CSV: got %+v, want none", d.CSV)
		case len(d.Others) != 1:
			t.Errorf("len(d.Others): got %v, want 1: %+v", len(d.Others), d.Others)
		case d.Others[0].Name != "a.csv":
			t.Errorf(`d.Others[0].Name: got %q, want "a.csv"`, d.Others[0].Name)
		case d.Layout == nil:
			t.Error("d.Layout: got nil")
		case troubles(d) != "a.csv: has 2 names (hard links); put a file here that has one, such as a copy":
			t.Errorf(`troubles(d): got %q, want "a.csv: has 2 names (hard links); put a file here that has one, such as a copy"`, troubles(d))
		}
		b.do(os.Remove(b.path("elsewhere.bin")))
		b.pass(5 * time.Second)
		b.want("a", "refused", "ready")
	})
}

// Clients stat, chmod and set times after the upload: the files are left in place for settle.
func TestClientsFindTheirFileDuringSettle(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.layout.json", "a.schedule.json", "a.csv.filepart")
		b.run()
		b.pass(time.Minute)
		b.do(os.Rename(b.path("a.csv.filepart"), b.path("a.csv")))
		moved := time.Since(b.start)
		b.pass(10 * time.Second)
		c := b.first("ready", "a")
		switch {
		case c == nil:
			t.Error("c is nil")
		case c.at-moved < 2*time.Second:
			t.Errorf("c.at - moved = %v, want at least %v", c.at-moved, 2*time.Second)
		}
	})
}

// Another file with the same inode number and times is recognized by its ctime; the
// identity comes from the opened file.
func TestIdentity(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.layout.json", "a.schedule.json", "a.csv", "b.csv")
		when := time.Unix(1e9, 0)
		b.do(os.Chtimes(b.path("a.csv"), when, when), os.Chtimes(b.path("b.csv"), when, when))
		b.run()
		b.pass(1900 * time.Millisecond)
		b.do(os.Rename(b.path("b.csv"), b.path("a.csv"))) // same size, same mtime
		b.pass(1900 * time.Millisecond)
		b.want("a")
		b.pass(2 * time.Second)
		b.want("a", "ready")
	})
}

package smtp

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"campaignd/internal/send"
	"campaignd/internal/send/sendtest"
)

// TestPostfix sends through a real mail server: Debian's postfix, in its own instance, which
// listens on loopback and delivers to a file.
func TestPostfix(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a mail server: not with -short")
	}
	for _, tool := range []string{"postfix", "postconf"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s isn't installed (apt-get install postfix)", tool)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("postfix is started by root alone")
	}
	postfix := newPostfix(t)
	o := options(postfix.port)
	o.TLS, o.Roots, o.Timeout, o.Concurrency = StartTLS, postfix.roots, 20*time.Second, 1
	c := channel(t, o)
	switch res := try(t, c, toPostfix(t, "eve@elsewhere.example")); {
	case res.Verdict != send.VerdictHold:
		t.Errorf("a domain that it doesn't relay to, as the first: res.Verdict = %v, want %v", res.Verdict, send.VerdictHold)
	case !strings.Contains(res.Detail, "relay"):
		t.Errorf("a domain that it doesn't relay to, as the first: res.Detail = %q, want \"relay\" in it", res.Detail)
	}
	if res := try(t, c, toPostfix(t, "ana@mail.example")); res.Verdict != send.VerdictSent {
		t.Fatalf("%+v\n%s", res, postfix.said())
	}
	switch res := try(t, c, toPostfix(t, "nobody@mail.example")); {
	case res.Verdict != send.VerdictBadRecipient:
		t.Errorf("an unknown mailbox: res.Verdict = %v, want %v", res.Verdict, send.VerdictBadRecipient)
	case res.Code != "550 5.1.1":
		t.Errorf("an unknown mailbox: res.Code = %q, want \"550 5.1.1\"\n%+v", res.Code, res)
	}
	switch res := try(t, c, toPostfix(t, "eve@elsewhere.example")); {
	case res.Verdict != send.VerdictPermanent:
		t.Errorf("a domain that it doesn't relay to: res.Verdict = %v, want %v", res.Verdict, send.VerdictPermanent)
	case res.Code != "554 5.7.1":
		t.Errorf("a domain that it doesn't relay to: res.Code = %q, want \"554 5.7.1\"\n%+v", res.Code, res)
	}
	long := toPostfix(t, "ana@mail.example")
	long.Content = []byte(`{"subject":"long","text":"` + strings.Repeat("a few words\\n", 1<<14) + `"}`)
	switch res := try(t, c, long); {
	case res.Verdict != send.VerdictPermanent:
		t.Errorf("a message of more than message_size_limit: res.Verdict = %v, want %v", res.Verdict, send.VerdictPermanent)
	case res.Code != "5.3.4":
		t.Errorf("a message of more than message_size_limit: res.Code = %q, want \"5.3.4\"\n%+v", res.Code, res)
	}
	from, data, ok := strings.Cut(postfix.delivered(), "\n") // the first line is mbox's
	switch {
	case !ok:
		t.Fatalf("%q: ok = false, want true", data)
	case !strings.HasPrefix(from, "From shop@example.com "):
		t.Fatalf("%q: from = %q, want \"From shop@example.com \" at the start", data, from)
	}
	mail := open(t, strings.ReplaceAll(data, "\n", "\r\n"))
	if id := mail.header.Get("Message-Id"); id != "<20261124-000007-42-1-9f3c01ab@example.com>" {
		t.Errorf("Message-ID %s", id)
	}
	switch {
	case len(mail.bodies) != 2:
		t.Errorf("len(mail.bodies) = %v, want 2: %+v", len(mail.bodies), mail.bodies)
	case strings.TrimRight(mail.bodies[0], "\r\n") != "Hola Ana\r\n.\r\nAdiós":
		t.Errorf("strings.TrimRight(mail.bodies[0], \"\\r\\n\") = %q, want %q", strings.TrimRight(mail.bodies[0], "\r\n"), "Hola Ana\r\n.\r\nAdiós")
	case !strings.Contains(mail.header.Get("Received"), "TLSv1"):
		t.Errorf("Received = %q, want \"TLSv1\" in it", mail.header.Get("Received"))
	}
	if n := strings.Count(postfix.said(), ": connect from"); n != 1 {
		t.Errorf("%d connections for all of it; want 1\n%s", n, postfix.said())
	}
}

func toPostfix(t *testing.T, to string) *send.Message {
	m := message(t, content{Subject: "¿Qué tal?", Text: "Hola Ana\n.\nAdiós", HTML: "<p>Hola Ana"})
	m.ContactCode = to
	return m
}

// postfix is a running instance.
type postfix struct {
	t     *testing.T
	dir   string
	port  int
	roots *x509.CertPool
}

func newPostfix(t *testing.T) *postfix {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &postfix{t: t, dir: t.TempDir(), port: l.Addr().(*net.TCPAddr).Port}
	_ = l.Close()
	owner, err := user.Lookup("postfix")
	if err != nil {
		t.Skipf("postfix has no user: %v", err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	for _, dir := range []string{p.dir, filepath.Dir(p.dir)} { // postfix's user needs access
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, own := range map[string]bool{"etc": false, "queue": false, "data": true, "boxes": true} {
		path := filepath.Join(p.dir, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if own {
			if err := os.Chown(path, uid, gid); err != nil {
				t.Fatal(err)
			}
		}
	}
	cert, roots := sendtest.Certificate(t, nil)
	p.roots = roots
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	p.write("etc/key.pem", 0o600, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))+
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})))
	daemons, err := exec.Command("postconf", "-d", "-h", "daemon_directory").Output()
	if err != nil {
		t.Skipf("postconf: %v", err)
	}
	p.write("etc/main.cf", 0o644, fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
daemon_directory = %[2]s
command_directory = /usr/sbin
mail_owner = postfix
myhostname = mx.mail.example
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 192.0.2.0/24
smtpd_relay_restrictions = reject_unauth_destination
message_size_limit = 100000
virtual_mailbox_limit = 0
virtual_mailbox_domains = mail.example
virtual_mailbox_maps = inline:{ana@mail.example=ana}
virtual_mailbox_base = %[1]s/boxes
virtual_minimum_uid = 1
virtual_uid_maps = static:%[3]d
virtual_gid_maps = static:%[4]d
smtpd_tls_security_level = may
smtpd_tls_chain_files = %[1]s/etc/key.pem
smtpd_tls_received_header = yes
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
`, p.dir, strings.TrimSpace(string(daemons)), uid, gid))
	p.write("etc/master.cf", 0o644, fmt.Sprintf(`127.0.0.1:%d inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`, p.port))
	run := func(command string) {
		out, err := exec.CommandContext(t.Context(), "timeout", "60", "postfix", "-c", filepath.Join(p.dir, "etc"), command).CombinedOutput()
		if err != nil {
			t.Fatalf("postfix %s: %v\n%s%s", command, err, out, p.said())
		}
	}
	run("start")
	t.Cleanup(func() {
		// t.Context has ended.
		if out, err := exec.Command("timeout", "60", "postfix", "-c", filepath.Join(p.dir, "etc"), "stop").CombinedOutput(); err != nil {
			t.Errorf("postfix stop: %v\n%s", err, out)
		}
	})
	return p
}

func (p *postfix) write(name string, mode os.FileMode, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), mode); err != nil {
		p.t.Fatal(err)
	}
}

// said returns its log.
func (p *postfix) said() string {
	log, _ := os.ReadFile(filepath.Join(p.dir, "log")) // for people; it may not exist yet
	return string(log)
}

// delivered waits until the mailbox isn't empty and returns it.
func (p *postfix) delivered() string {
	p.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for range 1000 {
		if data, err := os.ReadFile(filepath.Join(p.dir, "boxes", "ana")); err == nil && strings.Contains(p.said(), "status=sent") {
			return string(data)
		}
		<-look.C
	}
	p.t.Fatalf("nothing was delivered:\n%s", p.said())
	return ""
}

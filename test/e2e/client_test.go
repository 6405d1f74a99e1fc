//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// rate is the speed of slow uploads in bytes a second.
const rate = 100_000

// client is a program that partners use. Remote names are relative to the account's /inbox.
type client struct {
	name, tool string
	put        func(p *partner, local, remote string) *exec.Cmd
	slow       func(p *partner, local, remote string) *exec.Cmd // at rate
	resume     func(p *partner, local, remote string) *exec.Cmd // continues a cut upload, or starts over
	get        func(p *partner, remote, local string) *exec.Cmd
}

// sshOptions apply to OpenSSH's clients and to lftp, which starts ssh.
func (p *partner) sshOptions() []string {
	return []string{"-F", "none", "-i", p.key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR"}
}

// sftp runs OpenSSH's client with a batch of commands.
func (p *partner) sftp(batch string, options ...string) *exec.Cmd {
	args := append(p.sshOptions(), "-P", p.w.port, "-b", "-")
	cmd := run("sftp", append(append(args, options...), p.name+"@127.0.0.1")...)
	cmd.Stdin = strings.NewReader(batch)
	return cmd
}

func (p *partner) lftp(settings, command string) *exec.Cmd {
	connect := "ssh -a -x " + strings.Join(p.sshOptions(), " ")
	return run("lftp", "-c", fmt.Sprintf("set cmd:fail-exit yes; set net:max-retries 2; set net:reconnect-interval-base 1; "+
		"set sftp:auto-confirm yes; set sftp:connect-program %q; %s open -p %s -u %s,none sftp://127.0.0.1; %s", connect, settings, p.w.port, p.name, command))
}

func (p *partner) rclone(options []string, args ...string) *exec.Cmd {
	base := []string{"--config", "/dev/null", "--sftp-host", "127.0.0.1", "--sftp-port", p.w.port, "--sftp-user", p.name,
		"--sftp-key-file", p.key, "--sftp-shell-type", "none", "--sftp-disable-hashcheck", "--retries", "1", "-q"}
	return run("rclone", append(append(append([]string{"copyto"}, args...), base...), options...)...)
}

func (p *partner) curl(options ...string) *exec.Cmd {
	return run("curl", append([]string{"--silent", "--show-error", "--insecure", "--user", p.name + ":", "--key", p.key, "--pubkey", p.key + ".pub"}, options...)...)
}

func (p *partner) curlURL(remote string) string {
	return "sftp://127.0.0.1:" + p.w.port + "/inbox/" + remote
}

// paramiko runs Debian's package, whichever python3 comes first in PATH.
func (p *partner) paramiko(args ...string) *exec.Cmd {
	return run("/usr/bin/python3", append([]string{"testdata/client.py", p.w.port, p.name, p.key}, args...)...)
}

// run prepares a command in its own process group, so that it can be frozen or killed with its children.
func run(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// clients are the five clients that partners commonly use.
func clients() []client {
	return []client{
		{
			name: "sftp", tool: "sftp",
			put: func(p *partner, local, remote string) *exec.Cmd { return p.sftp("put " + local + " /inbox/" + remote) },
			slow: func(p *partner, local, remote string) *exec.Cmd {
				return p.sftp("put "+local+" /inbox/"+remote, "-l", fmt.Sprint(rate*8/1000))
			},
			resume: func(p *partner, local, remote string) *exec.Cmd {
				return p.sftp("reput " + local + " /inbox/" + remote)
			},
			get: func(p *partner, remote, local string) *exec.Cmd { return p.sftp("get /inbox/" + remote + " " + local) },
		},
		{
			name: "lftp", tool: "lftp",
			put: func(p *partner, local, remote string) *exec.Cmd { return p.lftp("", "put "+local+" -o /inbox/"+remote) },
			slow: func(p *partner, local, remote string) *exec.Cmd {
				return p.lftp(fmt.Sprintf("set net:limit-rate %d;", rate), "put "+local+" -o /inbox/"+remote)
			},
			resume: func(p *partner, local, remote string) *exec.Cmd {
				return p.lftp("", "put -c "+local+" -o /inbox/"+remote)
			},
			get: func(p *partner, remote, local string) *exec.Cmd { return p.lftp("", "get /inbox/"+remote+" -o "+local) },
		},
		{
			name: "rclone", tool: "rclone",
			put: func(p *partner, local, remote string) *exec.Cmd { return p.rclone(nil, local, ":sftp:/inbox/"+remote) },
			slow: func(p *partner, local, remote string) *exec.Cmd {
				return p.rclone([]string{"--bwlimit", fmt.Sprint(rate, "B")}, local, ":sftp:/inbox/"+remote)
			},
			resume: func(p *partner, local, remote string) *exec.Cmd { return p.rclone(nil, local, ":sftp:/inbox/"+remote) },
			get:    func(p *partner, remote, local string) *exec.Cmd { return p.rclone(nil, ":sftp:/inbox/"+remote, local) },
		},
		{
			name: "curl", tool: "curl",
			put: func(p *partner, local, remote string) *exec.Cmd { return p.curl("-T", local, p.curlURL(remote)) },
			slow: func(p *partner, local, remote string) *exec.Cmd {
				return p.curl("--limit-rate", fmt.Sprint(rate), "-T", local, p.curlURL(remote))
			},
			resume: func(p *partner, local, remote string) *exec.Cmd {
				return p.curl("-C", "-", "-T", local, p.curlURL(remote))
			},
			get: func(p *partner, remote, local string) *exec.Cmd { return p.curl("-o", local, p.curlURL(remote)) },
		},
		{
			name: "paramiko", tool: "/usr/bin/python3",
			put: func(p *partner, local, remote string) *exec.Cmd { return p.paramiko("put", local, "/inbox/"+remote) },
			slow: func(p *partner, local, remote string) *exec.Cmd {
				return p.paramiko("slow", local, "/inbox/"+remote, fmt.Sprint(rate))
			},
			resume: func(p *partner, local, remote string) *exec.Cmd { return p.paramiko("resume", local, "/inbox/"+remote) },
			get:    func(p *partner, remote, local string) *exec.Cmd { return p.paramiko("get", "/inbox/"+remote, local) },
		},
	}
}

// here skips the test if a client isn't available.
func (c client) here(t *testing.T, p *partner) {
	t.Helper()
	var err error
	if c.name == "paramiko" {
		err = exec.Command(c.tool, "-c", "import paramiko").Run()
	} else if c.name == "curl" {
		var out []byte
		if out, err = exec.Command(c.tool, "--version").Output(); err == nil && !strings.Contains(string(out), " sftp") {
			err = fmt.Errorf("it doesn't support SFTP")
		}
	} else {
		_, err = exec.LookPath(c.tool)
	}
	if err != nil {
		t.Skipf("%s isn't available: %v", c.name, err)
	}
}

// do runs a client, which must succeed.
func do(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := finish(t, cmd)
	if err != nil {
		t.Fatalf("%q: %v\n%s", cmd.Args, err, out)
	}
	return out
}

// finish waits for a client's exit, within patience.
func finish(t *testing.T, cmd *exec.Cmd) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer stop()
	err := cmd.Wait()
	return out.String(), err
}

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"campaignd/internal/config"
	"campaignd/internal/display"
)

func newPartnerCmd(env *environment) *cobra.Command {
	return subcommands(&cobra.Command{
		Use:   "partner",
		Short: "Set up partners who drop files over SFTP",
	}, newPartnerAddCmd(env), newPartnerKitCmd(env))
}

func newPartnerAddCmd(env *environment) *cobra.Command {
	p := partner{}
	run := false
	cmd := &cobra.Command{
		Use:   "add NAME --application ID",
		Short: "Print or run the commands that set up a partner",
		Long: `Prints the commands that create a partner's account, folders and permissions, and the
inbox's table for the configuration. With --make it runs them as root. Existing parts are
kept, so you can run it again.

The account has no password and no shell. It sees only its own folder once sshd knows the
group: see docs/sftp.md or /usr/share/campaignd/sshd-partners.conf.`,
		Example: "  campaignd partner add shop --application 1\n  sudo campaignd partner add shop --application 1 --key shop.pub --make",
		Args:    given(1, 1, "name one partner"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.name = args[0]
			if err := p.check(); err != nil {
				return err
			}
			path, err := env.configPath(nil)
			if err != nil {
				return err
			}
			if err := p.checkKnown(env, path); err != nil {
				return err
			}
			if run {
				return p.make(cmd, env, path)
			}
			return p.print(env, path)
		},
	}
	flags := cmd.Flags()
	flags.Int64Var(&p.application, "application", 0, "`id` of the application the partner may send for (required)")
	flags.Int64Var(&p.campaign, "campaign", 0, "`id` of the default campaign for drops whose sidecar names none")
	flags.StringVar(&p.root, "root", "/srv/campaignd", "`folder` with one folder per partner")
	flags.StringVar(&p.keys, "keys", "/etc/ssh/campaignd", "`folder` where sshd finds the partners' public keys")
	flags.StringVar(&p.key, "key", "", "`file` with the partner's public keys")
	flags.StringVar(&p.group, "group", "campaignd-partners", "`group` of all partners, as named in sshd's configuration")
	flags.StringVar(&p.daemon, "user", "campaignd", "`user` the daemon runs as")
	flags.BoolVar(&run, "make", false, "run the commands instead of printing them (as root)")
	return cmd
}

// partner describes one account and its inbox.
type partner struct {
	name                  string
	application, campaign int64
	root, keys, key       string // folders, and a file of public keys or ""
	group, daemon         string
}

func (p *partner) inbox() string { return filepath.Join(p.root, p.name, "inbox") }

// check rejects values that the commands or the configuration couldn't take verbatim.
func (p *partner) check() error {
	// The rule of useradd without the trailing dollar sign: at most 32 bytes.
	account := regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
	for _, one := range []struct{ what, value string }{{"the partner", p.name}, {"--group", p.group}, {"--user", p.daemon}} {
		if !account.MatchString(one.value) {
			return usage("%s: found %q, want an account name: at most 32 lower-case letters, digits, - and _", one.what, one.value)
		}
	}
	if p.application < 1 {
		return usage("name the application %s may send for with --application", p.name)
	}
	if p.campaign < 0 {
		return usage("--campaign is %d, want a campaign's id, 1 or more", p.campaign)
	}
	for flag, path := range map[string]string{"--root": p.root, "--keys": p.keys} {
		if !filepath.IsAbs(path) {
			return usage("%s: found %q, want an absolute path: sshd and the daemon run in other working directories", flag, path)
		}
	}
	return nil
}

// checkKnown rejects a key that sshd wouldn't take, and an application that isn't configured.
func (p *partner) checkKnown(env *environment, path string) error {
	if p.key != "" {
		if _, err := readPublicKeys(p.key); err != nil {
			return usage("--key: %v", err)
		}
	}
	cfg, problems := config.Load(path, env.drivers)
	if problems.Count > 0 {
		return usage("%s: %s; fix that first", path, display.Amount(problems.Count, "error"))
	}
	if cfg.Application(p.application) == nil {
		return usage("%s: --application: %w", path, unknownApplication(cfg, p.application))
	}
	return nil
}

// table returns the inbox's table for the configuration.
func (p *partner) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[[inboxes]] # partner %s\npath = %q\napplication = %d\n", p.name, p.inbox(), p.application)
	if p.campaign > 0 {
		fmt.Fprintf(&b, "campaign = %d\n", p.campaign)
	}
	fmt.Fprintf(&b, "allow_applications = [%d]\n", p.application)
	return b.String()
}

// step is one command with its reason.
type step struct {
	why  string
	argv []string
}

// steps returns the commands that create account, folders and permissions. All
// but useradd can run again.
func (p *partner) steps() []step {
	home := filepath.Join(p.root, p.name)
	list := []step{
		{"the group named in sshd's configuration", []string{"groupadd", "--force", "--system", p.group}},
		{"no password (* means none, ! would lock the account), no shell, home is the root of its chroot",
			[]string{"useradd", "--user-group", "--groups", p.group, "--no-create-home", "--home-dir", "/", "--shell", "/usr/sbin/nologin", "--password", "*", p.name}},
		{"sshd requires that root owns a chroot", []string{"install", "-d", "-o", "root", "-g", "root", "-m", "0755", p.root, home}},
		{"mode 3770: new files get the partner's group, and everybody can remove only their own files",
			[]string{"install", "-d", "-o", p.daemon, "-g", p.name, "-m", "3770", p.inbox()}},
		{"keys are outside the chroot, where no partner can change them", []string{"install", "-d", "-o", "root", "-g", "root", "-m", "0755", p.keys}},
	}
	if p.key != "" {
		list = append(list, step{"the partner's public keys", []string{"install", "-o", "root", "-g", "root", "-m", "0644", p.key, filepath.Join(p.keys, p.name)}})
	}
	return list
}

func (p *partner) print(env *environment, path string) error {
	if env.json {
		var commands [][]string
		for _, s := range p.steps() {
			commands = append(commands, s.argv)
		}
		return env.printJSON(map[string]any{"partner": p.name, "inbox": p.inbox(), "commands": commands, "config": path, "table": p.table()})
	}
	var b strings.Builder
	b.WriteString("# Run as root, or use --make.\n")
	for _, s := range p.steps() {
		fmt.Fprintf(&b, "# %s\n%s\n", s.why, shellLine(s.argv))
	}
	if p.key == "" {
		fmt.Fprintf(&b, "# Then put the partner's public keys into %s.\n", filepath.Join(p.keys, p.name))
	}
	fmt.Fprintf(&b, "\n# Append to %s, then run: systemctl reload campaignd\n%s", path, p.table())
	return env.printf("%s", printable(b.String()))
}

// shellLine quotes argv for a shell.
func shellLine(argv []string) string {
	plain := regexp.MustCompile(`^[A-Za-z0-9_./:=+-]+$`)
	words := make([]string, len(argv))
	for i, word := range argv {
		words[i] = word
		if !plain.MatchString(word) {
			words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// make runs the steps and adds the table to the configuration. It validates the
// new configuration first, so that an invalid one creates nothing.
func (p *partner) make(cmd *cobra.Command, env *environment, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	cfg, problems := config.Parse(path, text, env.drivers)
	if problems.Count > 0 {
		return usage("%s: %s; fix that first", path, display.Amount(problems.Count, "error"))
	}
	known := false
	for _, in := range cfg.Inboxes {
		known = known || filepath.Clean(in.Path) == p.inbox()
	}
	if !known {
		text = append(append(text, '\n'), p.table()...)
		if _, problems := config.Parse(path, text, env.drivers); problems.Count > 0 {
			return usage("the partner's table would make the configuration invalid: %s", problems.List[0].Message)
		}
	}
	if os.Geteuid() != 0 {
		return usage("--make needs root; without --make the commands are printed")
	}
	for _, s := range p.steps() {
		if s.argv[0] == "useradd" {
			made, err := p.account(cmd)
			if err != nil {
				return err
			}
			if made {
				continue
			}
		}
		if out, err := exec.CommandContext(cmd.Context(), s.argv[0], s.argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", shellLine(s.argv), err, strings.TrimSpace(string(out)))
		}
	}
	if !known {
		if err := replace(path, text); err != nil {
			return err
		}
	}
	if env.json {
		return env.printJSON(map[string]any{"partner": p.name, "inbox": p.inbox(), "config": path, "made": true})
	}
	return env.printf("%s can drop files into %s once sshd knows the group %s and the daemon has reloaded %s:\n  systemctl reload campaignd\n",
		p.name, p.inbox(), p.group, path)
}

// account reports whether the partner's account exists. It returns an error for
// an account outside the partners' group: it may belong to a person or the system.
func (p *partner) account(cmd *cobra.Command) (bool, error) {
	out, err := exec.CommandContext(cmd.Context(), "id", "-nG", p.name).Output()
	if _, failed := errors.AsType[*exec.ExitError](err); failed {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for account %s: %w", p.name, err)
	}
	for group := range strings.FieldsSeq(string(out)) {
		if group == p.group {
			return true, nil
		}
	}
	return false, fmt.Errorf("account %s exists but is not in group %s, so it isn't a partner's: choose another name", p.name, p.group)
}

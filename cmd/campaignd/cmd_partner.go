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
)

func newPartnerCmd(env *environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "partner",
		Short: "Set up partners who drop files over SFTP",
		Args:  given(0, 0, "it takes no arguments"),
		RunE:  func(*cobra.Command, []string) error { return usage("say what to do: add") },
	}
	cmd.AddCommand(newPartnerAddCmd(env))
	return cmd
}

func newPartnerAddCmd(env *environment) *cobra.Command {
	p := partner{}
	run := false
	cmd := &cobra.Command{
		Use:   "add NAME --application ID",
		Short: "Print, or make, a partner's account, folders, rights and configuration",
		Long: `Prints what gives a partner an inbox of its own: the commands that make the account, the
folders and their rights, and the table for the configuration. With --make it does all of it,
as root; what is there already is kept, so it can be run again.

The account has no password and no shell and sees its own folder alone, once sshd knows the
group: docs/sftp.md, or /usr/share/campaignd/sshd-partners.conf.`,
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
			if run {
				return p.make(cmd, env, path)
			}
			return p.print(env, path)
		},
	}
	flags := cmd.Flags()
	flags.Int64Var(&p.application, "application", 0, "`id` of the application that the partner may send for (required)")
	flags.Int64Var(&p.campaign, "campaign", 0, "`id` of the campaign of drops whose sidecar names none")
	flags.StringVar(&p.root, "root", "/srv/campaignd", "`folder` that holds a folder for each partner")
	flags.StringVar(&p.keys, "keys", "/etc/ssh/campaignd", "`folder` where sshd finds each partner's public keys")
	flags.StringVar(&p.key, "key", "", "`file` with the partner's public keys")
	flags.StringVar(&p.group, "group", "campaignd-partners", "`group` of all partners, which sshd's configuration names")
	flags.StringVar(&p.daemon, "user", "campaignd", "`user` that the daemon runs as")
	flags.BoolVar(&run, "make", false, "do it instead of printing it (as root)")
	return cmd
}

// partner is one account and its inbox.
type partner struct {
	name                  string
	application, campaign int64
	root, keys, key       string // folders, and a file of public keys or ""
	group, daemon         string
}

func (p *partner) inbox() string { return filepath.Join(p.root, p.name, "inbox") }

// check holds what was typed to what the commands and the configuration can take as it is.
func (p *partner) check() error {
	// useradd's own rule, without the dollar: 32 bytes at most.
	account := regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
	for _, one := range []struct{ what, value string }{{"the partner", p.name}, {"--group", p.group}, {"--user", p.daemon}} {
		if !account.MatchString(one.value) {
			return usage("%s: found %q where the name of an account is wanted: small letters, digits, - and _, at most 32", one.what, one.value)
		}
	}
	if p.application < 1 {
		return usage("say with --application which application %s may send for", p.name)
	}
	if p.campaign < 0 {
		return usage("--campaign is %d; a campaign's id is from 1", p.campaign)
	}
	for flag, path := range map[string]string{"--root": p.root, "--keys": p.keys} {
		if !filepath.IsAbs(path) {
			return usage("%s: found %q where an absolute path is wanted: sshd and the daemon have working directories of their own", flag, path)
		}
	}
	return nil
}

// table is the inbox in the configuration.
func (p *partner) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[[inboxes]] # partner %s\npath = %q\napplication = %d\n", p.name, p.inbox(), p.application)
	if p.campaign > 0 {
		fmt.Fprintf(&b, "campaign = %d\n", p.campaign)
	}
	fmt.Fprintf(&b, "allow_applications = [%d]\n", p.application)
	return b.String()
}

// step is one command and the reason for it.
type step struct {
	why  string
	argv []string
}

// steps make account, folders and rights. Each can be run again, but useradd.
func (p *partner) steps() []step {
	home := filepath.Join(p.root, p.name)
	list := []step{
		{"the group that sshd's configuration is about", []string{"groupadd", "--force", "--system", p.group}},
		{"no password (* is none, ! would be a locked account), no shell, its home the root of what it sees",
			[]string{"useradd", "--user-group", "--groups", p.group, "--no-create-home", "--home-dir", "/", "--shell", "/usr/sbin/nologin", "--password", "*", p.name}},
		{"sshd asks that what it locks an account into is root's", []string{"install", "-d", "-o", "root", "-g", "root", "-m", "0755", p.root, home}},
		{"3: what is made inside has the partner's group, and each removes its own files alone; the daemon's folders are the daemon's",
			[]string{"install", "-d", "-o", p.daemon, "-g", p.name, "-m", "3770", p.inbox()}},
		{"keys lie outside, where no partner can change them", []string{"install", "-d", "-o", "root", "-g", "root", "-m", "0755", p.keys}},
	}
	if p.key != "" {
		list = append(list, step{"the partner's own", []string{"install", "-o", "root", "-g", "root", "-m", "0644", p.key, filepath.Join(p.keys, p.name)}})
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
	b.WriteString("# As root; or all of it with --make.\n")
	for _, s := range p.steps() {
		fmt.Fprintf(&b, "# %s\n%s\n", s.why, shellLine(s.argv))
	}
	if p.key == "" {
		fmt.Fprintf(&b, "# Then the partner's public keys into %s.\n", filepath.Join(p.keys, p.name))
	}
	fmt.Fprintf(&b, "\n# At the end of %s, and then: systemctl reload campaignd\n%s", path, p.table())
	return env.printf("%s", printable(b.String()))
}

// shellLine is argv as a shell takes it.
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

// make runs the steps and adds the table. The table is looked at first: nothing is
// made for a configuration that would be refused.
func (p *partner) make(cmd *cobra.Command, env *environment, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	cfg, problems := config.Parse(path, text)
	if problems.Count > 0 {
		return usage("%s: %s; mend that first", path, wrong(problems))
	}
	known := false
	for _, in := range cfg.Inboxes {
		known = known || filepath.Clean(in.Path) == p.inbox()
	}
	if !known {
		text = append(append(text, '\n'), p.table()...)
		if _, problems := config.Parse(path, text); problems.Count > 0 {
			return usage("with the partner's table the configuration would be wrong: %s", problems.List[0].Message)
		}
	}
	if os.Geteuid() != 0 {
		return usage("--make needs root; without it the commands are printed")
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
	return env.printf("%s can drop files into %s once sshd knows the group %s and the daemon has read %s again:\n  systemctl reload campaignd\n",
		p.name, p.inbox(), p.group, path)
}

// account reports whether the partner's account is there already. One that isn't a
// partner's is left alone: it may be a person's, or the system's.
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
	return false, fmt.Errorf("there is an account %s that is not in the group %s: it is no partner's; choose another name", p.name, p.group)
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"campaignd/internal/config"
	"campaignd/internal/partnerpage"
)

func newPartnerKitCmd(env *environment) *cobra.Command {
	kit := partnerKit{}
	cmd := &cobra.Command{
		Use:   "kit NAME",
		Short: "Print what a partner needs to know, as one text to send",
		Long: `Prints a partner's host, user and key fingerprints, and its campaigns.txt: applications,
defaults, limits, and every campaign that it may send. The text contains no secret.`,
		Example: "  campaignd partner kit shop --host sftp.example.com > shop.txt",
		Args:    given(1, 1, "name one partner"),
		RunE: func(cmd *cobra.Command, args []string) error {
			kit.name = args[0]
			return kit.print(cmd, env)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&kit.host, "host", "", "`name` by which the partner reaches this machine (default: this machine's)")
	flags.StringVar(&kit.root, "root", "/srv/campaignd", "`folder` with one folder per partner")
	flags.StringVar(&kit.keys, "keys", "/etc/ssh/campaignd", "`folder` with the partners' public keys")
	flags.StringVar(&kit.hostKeys, "host-keys", "/etc/ssh", "`folder` with the public keys of sshd")
	return cmd
}

// partnerKit holds the facts in the text.
type partnerKit struct{ name, host, root, keys, hostKeys string }

func (k *partnerKit) print(cmd *cobra.Command, env *environment) error {
	cfg, err := env.loadConfig()
	if err != nil {
		return err
	}
	in, err := k.inbox(cfg)
	if err != nil {
		return err
	}
	if k.host == "" {
		if k.host, err = os.Hostname(); err != nil {
			return err
		}
	}
	checker, err := env.checker(cfg)
	if err != nil {
		return err
	}
	page, err := partnerpage.New(cmd.Context(), checker, in, os.TempDir())
	if err != nil {
		return err
	}
	own, err := readPublicKeys(filepath.Join(k.keys, k.name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if env.json {
		return env.printJSON(map[string]any{"partner": k.name, "host": k.host, "inbox": in.Path, "keys": fingerprints(own), "hostKeys": fingerprints(k.ofHost()), "page": page.Text})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Host:      %s, port 22, SFTP\nUser:      %s\nFolder:    /%s\n", k.host, k.name, filepath.Base(in.Path))
	for _, key := range own {
		fmt.Fprintf(&b, "Your key:  %s %s\n", key.kind, key.fingerprint)
	}
	if len(own) == 0 {
		fmt.Fprintf(&b, "Your key:  none yet: send the public key of the account that will upload\n")
	}
	for _, key := range k.ofHost() {
		fmt.Fprintf(&b, "Our key:   %s %s\n", key.kind, key.fingerprint)
	}
	fmt.Fprintf(&b, "\nCompare our key with what your client shows at the first connection.\nTest:      sftp %s@%s\n\n%s", k.name, k.host, page.Text)
	return env.printf("%s", printable(b.String()))
}

func fingerprints(keys []publicKey) []string {
	list := []string{}
	for _, key := range keys {
		list = append(list, key.kind+" "+key.fingerprint)
	}
	return list
}

// ofHost returns the keys by which sshd identifies itself; those that can't be read are left out.
func (k *partnerKit) ofHost() []publicKey {
	var all []publicKey
	paths, _ := filepath.Glob(filepath.Join(k.hostKeys, "ssh_host_*_key.pub")) // the pattern is well-formed
	for _, path := range paths {
		if keys, err := readPublicKeys(path); err == nil {
			all = append(all, keys...)
		}
	}
	return all
}

// inbox returns the partner's inbox: the one that "partner add" makes, or the only one with the
// name as a part of its path.
func (k *partnerKit) inbox(cfg *config.Config) (*config.Inbox, error) {
	var found []*config.Inbox
	var paths []string
	for i := range cfg.Inboxes {
		in := &cfg.Inboxes[i]
		paths = append(paths, in.Path)
		clean := filepath.Clean(in.Path)
		if clean == filepath.Join(k.root, k.name, "inbox") {
			return in, nil
		}
		for part := range strings.SplitSeq(clean, string(filepath.Separator)) {
			if part == k.name {
				found = append(found, in)
				break
			}
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, usage("no inbox has %q in its path; there are: %s", k.name, strings.Join(paths, ", "))
	default:
		return nil, usage("%d inboxes have %q in their paths: want one; there are: %s", len(found), k.name, strings.Join(paths, ", "))
	}
}

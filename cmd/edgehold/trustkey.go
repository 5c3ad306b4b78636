package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/plugins/sign"
)

func (a *app) trustKey() *cobra.Command {
	c := group(&cobra.Command{
		Use: "key", Short: "Make, list, add, replace and revoke keys", Aliases: []string{"keys"},
		Long:    "A change of keys is a new root: it takes effect on nodes once enough root keys have signed it and it is published.",
		Example: "  edgehold trust key list\n  edgehold trust key new ada --keys safe\n  edgehold trust key rotate timestamp",
	})
	c.AddCommand(a.keyList(), a.keyNew(), a.keyAdd(), a.keyRotate(), a.keyRevoke())
	return c
}

var keyTable = cli.Table[sign.KeyStatus]{
	Name: func(k sign.KeyStatus) string { return k.ID },
	Columns: []cli.Column[sign.KeyStatus]{
		{Title: "KEY", Text: func(k sign.KeyStatus) string { return sign.ShortID(k.ID) }},
		{Title: "NAME", Text: func(k sign.KeyStatus) string { return k.Name }},
		{Title: "OF", Text: func(k sign.KeyStatus) string { return k.Repository }},
		{Title: "ROLE", Text: func(k sign.KeyStatus) string { return k.Role }},
		{Title: "NEEDED", Right: true, Text: func(k sign.KeyStatus) string { return fmt.Sprint(k.Threshold) }},
		{Title: "HERE", Text: func(k sign.KeyStatus) string { return yesNo(k.AtHand) }},
		{Title: "ID", Wide: true, Text: func(k sign.KeyStatus) string { return k.ID }},
	},
}

func (a *app) keyList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the keys of each role", Aliases: []string{"ls"}, Args: args(0, 0, ""), Example: "  edgehold trust key list --folder trust"}
	return a.onFolder(c, func(r *sign.Repository, p *cli.Printer, _ []string) error {
		keys, err := r.Keys()
		if err != nil {
			return err
		}
		return cli.List(p, keyTable, keys, map[string]any{"items": keys})
	})
}

func (a *app) keyNew() *cobra.Command {
	c := &cobra.Command{
		Use: "new NAME", Short: "Make a key on this machine: NAME.key to be kept, NAME.pub to be handed on", Args: args(1, 1, "a name for the key"),
		Long:    "Nothing else is needed on the machine: no agent, no operator's folder.",
		Example: "  edgehold trust key new ada --keys safe",
	}
	dir := c.Flags().String("keys", ".", "folder to write both files into")
	c.RunE = func(_ *cobra.Command, args []string) error {
		k, err := sign.NewKey(args[0])
		if err != nil {
			return err
		}
		if err := k.Save(*dir); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s is key %s; hand on %s\n", filepath.Join(*dir, args[0]+sign.PrivateSuffix), sign.ShortID(k.Public().ID()), filepath.Join(*dir, args[0]+sign.PublicSuffix))
		return nil
	}
	return c
}

func (a *app) keyAdd() *cobra.Command {
	c := &cobra.Command{
		Use: "add ROLE FILE.pub", Short: "Give a role one more key", Args: args(2, 2, "a role and a public key"),
		Example: "  edgehold trust key add root eve.pub\n  edgehold trust key add timestamp eve.pub --of director --threshold 1",
	}
	repository := c.Flags().String("of", sign.Images, "images or director")
	threshold := c.Flags().Int("threshold", 0, "how many keys of the role must sign from then on (default: as before)")
	c.ValidArgsFunction = fixed(sign.Roles...)
	return a.onFolder(c, func(r *sign.Repository, _ *cli.Printer, args []string) error {
		k, err := sign.LoadPublicKey(args[1])
		if err != nil {
			return err
		}
		left, err := r.AddKey(*repository, args[0], k)
		if err != nil {
			return err
		}
		if *threshold > 0 {
			if left, err = r.SetThreshold(*repository, args[0], *threshold); err != nil {
				return err
			}
		}
		return errors.Join(r.NameKey(k), a.changed(left))
	})
}

// changed says how a change of keys stands.
func (a *app) changed(left []sign.Pending) error {
	if len(left) == 0 {
		fmt.Fprintln(a.out, "the new root is signed: publish it")
	}
	return a.lacks(left)
}

func (a *app) keyRotate() *cobra.Command {
	c := &cobra.Command{
		Use: "rotate KEY", Short: "Replace a key by a new one in every role that it has", Args: args(1, 1, "a key: its name, its identity, or the beginning of that"),
		Long: "The new key is made here, or named by its public part. What the old one signed is not believed any more, and version numbers that it may have\n" +
			"set out of reach are forgotten by the nodes.",
		Example: "  edgehold trust key rotate timestamp\n  edgehold trust key rotate root-1 --to bob.pub",
	}
	to := c.Flags().String("to", "", "public part of the new key, if it was made elsewhere")
	var f trustFolder
	f.flags(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		r, err := f.open()
		if err != nil {
			return err
		}
		id, err := r.FindKey(args[0])
		if err != nil {
			return err
		}
		next, err := f.replacement(r, id, *to)
		if err != nil {
			return err
		}
		left, err := r.RotateKey(id, next)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "key %s takes the place of %s\n", sign.ShortID(next.ID()), sign.ShortID(id))
		return errors.Join(r.NameKey(next), a.changed(left))
	}
	return c
}

// replacement is the key of a file, or a new one that is called after the old one.
func (f *trustFolder) replacement(r *sign.Repository, id, path string) (sign.PublicKey, error) {
	if path != "" {
		return sign.LoadPublicKey(path)
	}
	name := "key"
	all, err := r.Keys()
	if err != nil {
		return sign.PublicKey{}, err
	}
	for _, k := range all {
		if k.ID == id && k.Name != "" {
			name = k.Name
		}
	}
	k, err := sign.NewKey(nextName(name))
	if err != nil {
		return sign.PublicKey{}, err
	}
	return k.Public(), k.Save(f.keysFolder())
}

// madeAt is the end of the name of a key that took the place of another one.
var madeAt = regexp.MustCompile(`-\d{8}T\d{6}$`)

func nextName(name string) string {
	return madeAt.ReplaceAllString(name, "") + "-" + time.Now().UTC().Format("20060102T150405")
}

func (a *app) keyRevoke() *cobra.Command {
	c := &cobra.Command{
		Use: "revoke KEY", Short: "Take a key out of every role that it has", Args: args(1, 1, "a key: its name, its identity, or the beginning of that"),
		Example: "  edgehold trust key revoke eve",
	}
	return a.onFolder(c, func(r *sign.Repository, _ *cli.Printer, args []string) error {
		id, err := r.FindKey(args[0])
		if err != nil {
			return err
		}
		left, err := r.RevokeKey(id)
		if err != nil {
			return err
		}
		return a.changed(left)
	})
}

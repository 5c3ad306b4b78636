package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/plugins/sign"
)

// ceremony is the flags of trust sign, of which one chooses what it does.
type ceremony struct {
	trustFolder
	exports, imports, file, with string
}

func (a *app) trustSign() *cobra.Command {
	var s ceremony
	c := &cobra.Command{
		Use: "sign", Short: "Sign what waits for signatures, here or on a machine that holds keys", Args: args(0, 0, ""),
		Long: "Without flags it signs with the keys at hand. Otherwise the way of a signature is: --export FILE writes what waits; carry it to the machine that holds\n" +
			"a key; --file FILE --with NAME.key shows there what is signed and adds the signature to the file; carry it back; --import FILE takes it over and\n" +
			"publishes what has enough.",
		Example: "  edgehold trust sign --export tosign.json\n  edgehold trust sign --file tosign.json --with ada.key\n  edgehold trust sign --import tosign.json",
	}
	s.flags(c)
	flags := c.Flags()
	flags.StringVar(&s.exports, "export", "", "write what waits for signatures to this file")
	flags.StringVar(&s.imports, "import", "", "take over the signatures in this file")
	flags.StringVar(&s.file, "file", "", "sign what was exported to this file; needs --with, and no folder")
	flags.StringVar(&s.with, "with", "", "private key to sign with")
	c.RunE = func(*cobra.Command, []string) error {
		if err := s.check(c); err != nil {
			return err
		}
		switch {
		case s.file != "":
			return a.signElsewhere(s.file, s.with)
		case s.exports != "":
			return a.export(&s)
		case s.imports != "":
			return a.importSigned(&s)
		}
		r, err := s.open()
		if err != nil {
			return err
		}
		left, err := r.Sign()
		if err != nil {
			return err
		}
		return a.signed(left)
	}
	return c
}

// check refuses flags that do not go together.
func (s *ceremony) check(c *cobra.Command) error {
	chosen := 0
	for _, path := range []string{s.exports, s.imports, s.file} {
		if path != "" {
			chosen++
		}
	}
	if chosen > 1 {
		return usage(c, "sign", "--export, --import and --file are steps of their own")
	}
	if (s.file == "") != (s.with == "") {
		return usage(c, "sign", "--file and --with belong together")
	}
	return nil
}

func (a *app) signed(left []sign.Pending) error {
	if len(left) == 0 {
		fmt.Fprintln(a.out, "nothing waits for signatures: publish it")
	}
	return a.lacks(left)
}

func (a *app) export(s *ceremony) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	waiting, err := r.Export()
	if err != nil {
		return err
	}
	if err := a.writeCeremony(s.exports, waiting); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%d documents are in %s; on the machine with a key: edgehold trust sign --file %s --with NAME.key\n", len(waiting.Documents), s.exports, s.exports)
	return nil
}

func (a *app) writeCeremony(path string, c *sign.Ceremony) error {
	raw, err := c.Bytes()
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("write what is to be signed: %w", err)
	}
	return nil
}

func readCeremony(path string) (*sign.Ceremony, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read what is to be signed: %w", err)
	}
	return sign.ParseCeremony(raw)
}

// signElsewhere shows what is signed, signs it, and puts the signatures into the file.
func (a *app) signElsewhere(path, keyFile string) error {
	c, err := readCeremony(path)
	if err != nil {
		return err
	}
	key, err := sign.LoadKey(keyFile)
	if err != nil {
		return err
	}
	lines, err := c.Summary()
	if err != nil {
		return err
	}
	for _, line := range lines {
		fmt.Fprintln(a.out, line)
	}
	if err := c.Sign(key); err != nil {
		return err
	}
	if err := a.writeCeremony(path, c); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "signed with %s (%s); carry %s back: edgehold trust sign --import %s\n", key.Name, sign.ShortID(key.Public().ID()), path, path)
	return nil
}

func (a *app) importSigned(s *ceremony) error {
	c, err := readCeremony(s.imports)
	if err != nil {
		return err
	}
	r, err := s.open()
	if err != nil {
		return err
	}
	left, err := r.Import(c)
	if err != nil {
		return err
	}
	return a.signed(left)
}

// Command demo shows Edgehold's main job in under a minute: a policy is uploaded into a running agent, turns a CPU
// frequency knob because of real load, says why, and is replaced, rolled back and outlived. It is not a test and needs
// no privileges: where the machine has no frequency scaling it turns the knobs of a recorded tree, and says so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	bin := flag.String("bin", "bin", "folder of the programs edgehold and edgeholdd")
	examples := flag.String("examples", "examples", "folder of the example policies")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *bin, *examples); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, examples string) error {
	dir, err := os.MkdirTemp("", "edgehold-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer os.RemoveAll(dir)
	bin, err = filepath.Abs(bin)
	if err != nil {
		return err
	}
	s := &stage{ctx: ctx, bin: bin, examples: examples, dir: dir}
	err = s.open()
	for _, scene := range []func() error{
		s.lookAround, s.upload, s.load, s.why, s.again, s.refuse, s.endless, s.worse, s.kill,
	} {
		if err != nil {
			break
		}
		err = scene()
	}
	return errors.Join(err, s.close())
}

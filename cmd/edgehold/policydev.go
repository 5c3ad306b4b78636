package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/cmd/internal/scaffold"
	"github.com/edgehold/edgehold/plugins"
)

// leaveTimeout bounds going back to the version before.
const leaveTimeout = 30 * time.Second

func (a *app) policyDev() *cobra.Command {
	d := &developer{a: a}
	var parameters []string
	c := &cobra.Command{
		Use: "dev [FOLDER]", Short: "Build a policy on save, run it in an agent, and show what it decides", Args: args(0, 1, ""),
		Long: "Builds the project with its debug information, uploads it, and prints its decisions as they are made: what was decided and why, what was planned, fuel " +
			"and time. Whenever a source is saved it does so again; a build that fails leaves what runs.\n\n" +
			"A version means one module for ever, so each build is a development version of its own: 1.0.0 becomes 1.0.0-dev.1, 1.0.0-dev.2 and so on. Ctrl-C goes back to the " +
			"version that decided before, unless --keep is given.\n\n" +
			"If no agent is named and none answers, an agent of its own runs in a temporary folder, on a recorded machine.",
		Example: "  edgehold policy dev load-follower\n  edgehold policy dev load-follower --set high=0 --once",
	}
	buildFlags(c, &d.build)
	flags := c.Flags()
	flags.BoolVar(&d.keep, "keep", false, "at the end, leave the last development version in charge")
	flags.BoolVar(&d.once, "once", false, "end after the first decision that plans something or fails")
	flags.StringSliceVar(&d.upload.Allow, "allow", nil, "mechanisms that the policy may use (default: what the agent's configuration allows)")
	flags.StringArrayVar(&parameters, "set", nil, "value of a parameter, as NAME=NUMBER; may be repeated")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if d.upload.Parameters, err = parseParameters(c, parameters); err != nil {
			return err
		}
		p, err := a.printer()
		if err != nil {
			return err
		}
		d.folder, d.stream = folderOf(args), &decisionStream{p: p, err: a.err}
		d.build.Debug = true
		return d.run(c.Context())
	}
	return c
}

// developer is the loop of `policy dev`.
type developer struct {
	a      *app
	folder string
	build  scaffold.BuildOptions
	upload api.UploadOptions
	keep   bool
	once   bool

	agent  *apiclient.Client
	stream *decisionStream

	policy string // its name, once it was uploaded
	before string // the version that decided before; empty if there was none
	base   string // digest of the last build, before it got its version
	last   int    // number of the last development version
}

func (d *developer) run(ctx context.Context) (err error) {
	stop, err := d.reach(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := d.allowed(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.leave(ctx)) }()
	if err := d.turn(ctx); err != nil && (d.once || ctx.Err() != nil) {
		return err
	} else if err != nil {
		d.complain(err)
	}
	return d.loop(ctx)
}

// loop watches the sources and the decisions. Saves and decisions are shown as they come; only one of the two goroutines
// builds.
func (d *developer) loop(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	var decisions sync.Once
	follow := func() {
		if d.policy == "" {
			return
		}
		decisions.Do(func() {
			name := d.policy
			g.Go(func() error {
				defer cancel()
				return d.stream.follow(ctx, d.agent, name, d.once)
			})
		})
	}
	follow()
	g.Go(func() error {
		if !d.once {
			d.note("watching %s; Ctrl-C ends", d.folder)
		}
		return scaffold.Watch(ctx, d.folder, func() {
			if err := d.turn(ctx); err != nil && ctx.Err() == nil {
				d.complain(err)
			}
			follow()
		})
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// turn builds and uploads once.
func (d *developer) turn(ctx context.Context) error {
	began := time.Now()
	built, module, err := d.compile(ctx)
	if err != nil {
		return err
	}
	if built.Digest == d.base {
		d.note("the module is the same as before")
		return nil
	}
	if err := d.know(ctx, built.Manifest.Name); err != nil {
		return err
	}
	manifest := *built.Manifest
	released := manifest.Version
	d.last++
	manifest.Version = developmentVersion(released, d.last)
	packed, err := plugins.Pack(module, &manifest)
	if err != nil {
		return err
	}
	request, cancel := context.WithTimeout(ctx, d.a.timeout)
	defer cancel()
	result, err := d.agent.UploadPolicy(request, packed, d.upload)
	if err != nil {
		d.last-- // nothing took the name
		return err
	}
	d.policy, d.base = manifest.Name, built.Digest
	d.stream.version(manifest.Version)
	d.note("%s %s decides now (%s of %s, built and taken in %s); %s stays free for its release",
		result.Name, result.Version, api.FormatBytes(int64(len(packed))), built.Language, time.Since(began).Round(time.Millisecond), released)
	for _, warning := range result.Warnings {
		d.note("%s", warning)
	}
	if !result.Activated {
		d.note("it was not activated%s", because(result.Reason))
	}
	return nil
}

func (d *developer) compile(ctx context.Context) (*scaffold.Built, []byte, error) {
	temporary, err := os.MkdirTemp("", "edgehold-dev-")
	if err != nil {
		return nil, nil, fmt.Errorf("build for development: %w", err)
	}
	defer os.RemoveAll(temporary)
	progress := cli.NewProgress(d.a.err)
	progress.Step("compiling")
	built, err := scaffold.Build(ctx, d.folder, filepath.Join(temporary, "policy.wasm"), d.build)
	progress.Done()
	if err != nil {
		return nil, nil, err
	}
	module, err := os.ReadFile(built.Path)
	return built, module, err
}

// know learns, before the first upload, which version decides and which development versions there were.
func (d *developer) know(ctx context.Context, name string) error {
	if d.policy == name {
		return nil
	}
	if d.policy != "" {
		return &cli.Failure{Attempt: "build for development", Code: "policy.renamed", Why: "the policy was called " + d.policy + " and is called " + name + " now",
			Hint: "name it as before, or end this and begin anew"}
	}
	versions, err := d.agent.PolicyVersions(ctx, name)
	var problem *api.Problem
	if errors.As(err, &problem) && problem.Status == 404 {
		return nil
	}
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.State == api.VersionActive {
			d.before = v.Version
		}
		if _, number, ok := strings.Cut(v.Version, developmentMark); ok {
			n, _ := strconv.Atoi(number)
			d.last = max(d.last, n)
		}
	}
	return nil
}

const developmentMark = "dev."

// developmentVersion is a version below the one that is released: 1.0.0-dev.3 comes before 1.0.0.
func developmentVersion(released string, n int) string {
	core, build, _ := strings.Cut(released, "+")
	if build != "" {
		build = "+" + build
	}
	separator := "-"
	if strings.Contains(core, "-") {
		separator = "."
	}
	return core + separator + developmentMark + strconv.Itoa(n) + build
}

// leave goes back to what was before.
func (d *developer) leave(ctx context.Context) error {
	if d.policy == "" || d.keep || d.agent == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if d.before == "" {
		d.note("%s is deleted again: no version decided before", d.policy)
		return d.agent.DeletePolicy(ctx, d.policy)
	}
	policy, err := d.agent.RollbackPolicy(ctx, d.policy, d.before)
	if err != nil {
		return err
	}
	d.note("%s %s decides again, as before", policy.Name, cmp.Or(policy.ActiveVersion, d.before))
	return nil
}

// allowed refuses a node that takes signed modules only, before anything is built.
func (d *developer) allowed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.a.timeout)
	defer cancel()
	trust, err := d.agent.Trust(ctx)
	var problem *api.Problem
	if errors.As(err, &problem) { // an agent that knows nothing of signatures asks for none
		return nil
	}
	if err != nil {
		return err
	}
	if trust.Require == "signed" {
		return &cli.Failure{Attempt: "develop on this node", Code: "policy.signed-only", Why: "it takes signed modules only, and what is being written is not signed",
			Hint: "use a node of your own: leave --socket and --server out where no agent runs, or name a node whose configuration has trust.require: unsigned"}
	}
	return nil
}

// note says what the loop does; it does not mix with the decisions when those are data.
func (d *developer) note(format string, args ...any) { d.stream.note(fmt.Sprintf(format, args...)) }

// complain shows an error that does not end the loop.
func (d *developer) complain(err error) {
	d.stream.problem(err, cli.AllowsColor(d.a.err, d.a.getenv))
	if d.policy != "" {
		d.note("%s goes on deciding", d.stream.current())
	}
}

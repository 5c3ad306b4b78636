package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/host/extism/helper"
)

func (a *app) pluginCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "plugin", Short: "Run Extism plugins by hand",
		Long:    "An Extism plugin that is to decide or to act is packed with a manifest (policy pack) and uploaded like any other. These commands call one as it is.",
		Example: "  edgehold plugin run count_vowels.wasm count_vowels --input 'hello world'",
	}
	c.AddCommand(a.pluginRun())
	group(c)
	return c
}

// pluginFlags are what a plugin is run with.
type pluginFlags struct {
	input, inputFile, manifest string
	config, hosts, paths       []string
	engine, logLevel           string
	deadline                   time.Duration
	fuel, memoryMiB            uint64
}

func (a *app) pluginRun() *cobra.Command {
	var f pluginFlags
	c := &cobra.Command{
		Use: "run FILE EXPORT", Short: "Call an export of an Extism plugin", Args: args(2, 2, "a file and the export to call"),
		Long: "Runs any Extism plugin on this machine, as it is, through the same door that policies come in by, within limits. Its output goes to standard output, what\n" +
			"it logs to standard error. It needs " + helper.Program + " beside this program or in PATH.\n\n" +
			"--engine go-sdk runs it on the Extism project's SDK instead, which has folders (--allow-path) and linked modules, but no fuel.",
		Example: "  edgehold plugin run count_vowels.wasm count_vowels --input 'hello world'\n" +
			"  edgehold plugin run count_vowels.wasm count_vowels --input why --config vowels=wy --deadline 1s -o json",
	}
	flags := c.Flags()
	flags.StringVar(&f.input, "input", "", "what the plugin gets")
	flags.StringVar(&f.inputFile, "input-file", "", "file with what the plugin gets; - is standard input")
	flags.StringVar(&f.manifest, "manifest", "", "file with an Extism manifest in JSON; flags add to it")
	flags.StringArrayVar(&f.config, "config", nil, "configuration, as key=value; may be given several times")
	flags.StringArrayVar(&f.hosts, "allow-host", nil, "host that it may send HTTP requests to; * stands for any text")
	flags.StringArrayVar(&f.paths, "allow-path", nil, "folder that it may use, as HOST:GUEST or ro:HOST:GUEST; only with --engine go-sdk")
	flags.StringVar(&f.engine, "engine", helper.EngineEdgehold, helper.EngineEdgehold+" or "+helper.EngineSDK)
	flags.StringVar(&f.logLevel, "log-level", "info", "trace, debug, info, warn or error")
	flags.DurationVar(&f.deadline, "deadline", 0, "longest time of the call (default: the manifest's, or 5s)")
	flags.Uint64Var(&f.fuel, "fuel", 0, "most instructions, about (default 10,000,000,000)")
	flags.Uint64Var(&f.memoryMiB, "memory", 0, "most memory, in MiB (default 256)")
	c.RegisterFlagCompletionFunc("engine", fixed(helper.EngineEdgehold, helper.EngineSDK))
	c.RegisterFlagCompletionFunc("log-level", fixed("trace", "debug", "info", "warn", "error"))
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := a.printer()
		if err != nil {
			return err
		}
		order, err := f.order(c, args[0])
		if err != nil {
			return err
		}
		input, err := f.read(a.in)
		if err != nil {
			return err
		}
		answer, err := runPlugin(c.Context(), a.timeout, order, args[1], input, a.err)
		return a.showPlugin(p, args[1], answer, err)
	}
	return c
}

// order is what the helper is told.
func (f *pluginFlags) order(c *cobra.Command, file string) (*helper.Order, error) {
	attempt := "run " + file
	switch f.logLevel {
	case "trace", "debug", "info", "warn", "error":
	default:
		return nil, usage(c, attempt, fmt.Sprintf("%q is no log level", f.logLevel))
	}
	if f.deadline < 0 || f.deadline > time.Hour {
		return nil, usage(c, attempt, fmt.Sprintf("a deadline of %s; give up to 1h", f.deadline))
	}
	if f.memoryMiB > 4096 {
		return nil, usage(c, attempt, fmt.Sprintf("memory of %d MiB; a module has at most 4096", f.memoryMiB))
	}
	if f.input != "" && f.inputFile != "" {
		return nil, usage(c, attempt, "both --input and --input-file are given")
	}
	manifest, err := f.readManifest(c, attempt)
	if err != nil {
		return nil, err
	}
	module, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	cache, _ := os.UserCacheDir()
	if cache != "" {
		cache = filepath.Join(cache, "edgehold", "plugins")
	}
	return &helper.Order{Engine: f.engine, Name: filepath.Base(file), Module: module, Manifest: manifest, LogLevel: f.logLevel, CacheDir: cache,
		Fuel: f.fuel, MemoryBytes: f.memoryMiB << 20, DeadlineMS: uint32(f.deadline.Milliseconds())}, nil
}

// readManifest is the manifest of the file with what flags add.
func (f *pluginFlags) readManifest(c *cobra.Command, attempt string) (json.RawMessage, error) {
	m := map[string]any{}
	if f.manifest != "" {
		text, err := os.ReadFile(f.manifest)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &m); err != nil {
			return nil, &cli.UsageError{Attempt: "read " + f.manifest, Why: err.Error(), Hint: "an Extism manifest is a JSON object"}
		}
	}
	for _, pair := range f.config {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" {
			return nil, usage(c, attempt, fmt.Sprintf("--config %q is not key=value", pair))
		}
		put(m, "config", key, value)
	}
	for _, pair := range f.paths {
		at := strings.LastIndex(pair, ":")
		if at < 1 || at == len(pair)-1 {
			return nil, usage(c, attempt, fmt.Sprintf("--allow-path %q is not HOST:GUEST", pair))
		}
		put(m, "allowed_paths", pair[:at], pair[at+1:])
	}
	for _, host := range f.hosts {
		list, _ := m["allowed_hosts"].([]any)
		m["allowed_hosts"] = append(list, host)
	}
	return json.Marshal(m)
}

// put sets a member of an object in an object.
func put(m map[string]any, object, key, value string) {
	members, ok := m[object].(map[string]any)
	if !ok {
		members = map[string]any{}
		m[object] = members
	}
	members[key] = value
}

// maxPluginInput bounds what is read from a file or standard input, in bytes.
const maxPluginInput = 32 << 20

func (f *pluginFlags) read(stdin io.Reader) ([]byte, error) {
	if f.inputFile == "" {
		return []byte(f.input), nil
	}
	from := stdin
	if f.inputFile != "-" {
		file, err := os.Open(f.inputFile)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		from = file
	}
	input, err := io.ReadAll(io.LimitReader(from, maxPluginInput+1))
	if err == nil && len(input) > maxPluginInput {
		err = &cli.UsageError{Attempt: "read " + f.inputFile, Why: fmt.Sprintf("it has more than %d bytes", maxPluginInput), Hint: "give the plugin less at once"}
	}
	return input, err
}

// runPlugin has the helper call an export once.
func runPlugin(ctx context.Context, timeout time.Duration, o *helper.Order, export string, input []byte, warnings io.Writer) (helper.Answer, error) {
	program, err := helper.Find()
	if err != nil {
		return helper.Answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := helper.Start(ctx, program, o)
	if err != nil {
		return helper.Answer{}, err
	}
	defer c.Close()
	for _, warning := range c.Warnings() {
		fmt.Fprintln(warnings, "warning:", warning)
	}
	return c.Call(export, input)
}

// showPlugin writes the output as it is, or everything as an object.
func (a *app) showPlugin(p *cli.Printer, export string, answer helper.Answer, failure error) error {
	for _, line := range answer.Log {
		fmt.Fprintf(a.err, "%s: %s\n", line.Level, cli.Clean(line.Text))
	}
	if failure == nil && answer.Returned != 0 {
		failure = &helper.Failure{Message: fmt.Sprintf("call %s: it returned %d", export, answer.Returned), Code: "extism.returned",
			Why: fmt.Sprintf("it returned %d without an error", answer.Returned), Hint: "its documentation explains the number"}
	}
	if p.Format == cli.FormatTable || p.Format == cli.FormatWide {
		if _, err := io.Copy(a.out, bytes.NewReader(answer.Output)); err != nil {
			return err
		}
		return failure
	}
	shown := map[string]any{"returned": answer.Returned, "fuel": answer.Fuel, "log": answer.Log}
	if utf8.Valid(answer.Output) {
		shown["output"] = string(answer.Output)
	} else {
		shown["output_base64"] = base64.StdEncoding.EncodeToString(answer.Output)
	}
	if err := p.Object(shown, export, func(*cli.Details) {}); err != nil {
		return err
	}
	return failure
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiserver"
	"github.com/edgehold/edgehold/agents/node"
	"github.com/edgehold/edgehold/agents/node/config"
	"github.com/edgehold/edgehold/plugins/registry"
	"github.com/edgehold/edgehold/wasmabi"
)

// version is set at build time.
var version = "dev"

// closeTimeout bounds the way out: putting knobs back and writing down what waits.
const closeTimeout = 10 * time.Second

func runCommand() *cobra.Command {
	var f configFlags
	var level slog.Level
	c := &cobra.Command{
		Use: "run", Short: "Run the agent until it is told to stop", Args: cobra.NoArgs,
		Example: "  edgeholdd run --config /etc/edgehold/agent.yaml\n  edgeholdd run --set state_directory=/tmp/edgehold --set api.socket=/tmp/edgehold/api.sock",
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := f.load()
			if err != nil {
				return err
			}
			log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			return run(cmd.Context(), config, log)
		},
	}
	f.add(c)
	c.Flags().TextVar(&level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	return c
}

// run opens the agent and its interface, serves, and gives everything back.
func run(ctx context.Context, config config.Config, log *slog.Logger) (err error) {
	debug.SetGCPercent(collectAt)
	events := apiserver.NewEvents(0)
	agent, err := node.Open(ctx, config, node.Options{Version: version, Logger: log, Publish: events.Publish, Settled: settle})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, agent.Close(ctx))
	}()
	if err := makeDefaultFolder(config.API.Socket); err != nil {
		return err
	}
	serving, err := serverConfig(agent, config, events, log)
	if err != nil {
		return err
	}
	server, err := apiserver.New(serving)
	if err != nil {
		return err
	}
	mirror, err := listenMirror(config.Registry.Mirror)
	if err != nil {
		return err
	}
	log.Info("listening", "addresses", server.Addrs(), "otlp_grpc", config.Telemetry.OTLP.GRPC, "otlp_http", config.Telemetry.OTLP.HTTP)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Run(ctx) })
	if mirror != nil {
		log.Info("handing out modules", "address", mirror.Addr().String())
		g.Go(func() error { return registry.Run(ctx, mirror, agent.Mirror(), log.With("part", "mirror")) })
	}
	g.Go(func() error {
		return agent.Run(ctx, func() { log.Info("ready", "node", config.Name, "socket", config.API.Socket) })
	})
	return g.Wait()
}

// makeDefaultFolder makes the folder of the default socket, which lives in memory and is gone after a boot. The folders of
// other sockets are their owner's business.
func makeDefaultFolder(socket string) error {
	if socket != config.DefaultSocket {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return fmt.Errorf("make the folder of the socket: %w", err)
	}
	return nil
}

func serverConfig(agent *node.Node, config config.Config, events *apiserver.Events, log *slog.Logger) (apiserver.Config, error) {
	mode, err := config.API.Mode()
	if err != nil {
		return apiserver.Config{}, err
	}
	group, err := config.API.GroupID()
	if err != nil {
		return apiserver.Config{}, err
	}
	c := apiserver.Config{
		Socket: config.API.Socket, SocketMode: mode, SocketGroupID: group, Events: events, Logger: log.With("part", "api"), Version: versionInfo(agent, config.Name),
		MetricsHandler: agent.Exposition(), HealthHandler: health(agent),
		Backend: apiserver.Backend{
			Policies: agent.Policies, Rollouts: agent.Rollouts, Mechanisms: agent.Mechanisms, Decisions: agent.Decisions, Metrics: agent.Metrics,
			Mode: agent.Mode, Doctor: agent.Doctor, Audit: agent.Audit, Trust: agent.Trust,
		},
	}
	if config.API.Listen != "" {
		c.TCP = &apiserver.TCP{
			Address: config.API.Listen, CertFile: config.API.TLS.Certificate, KeyFile: config.API.TLS.Key, TokenFile: config.API.Tokens,
		}
	}
	return c, nil
}

// health answers 200 once the stored policies are bound, 503 before.
func health(agent *node.Node) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !agent.Ready() {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, "starting")
			return
		}
		fmt.Fprintln(w, "ok")
	})
}

func versionInfo(agent *node.Node, name string) api.Version {
	v := api.Version{
		Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, ABI: wasmabi.Version,
		Engine: agent.Engine(), Node: name, StartedAt: time.Now().UTC(),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	return v
}

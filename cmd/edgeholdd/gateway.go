package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"

	"github.com/edgehold/edgehold/agents/node/config"
	"github.com/edgehold/edgehold/lwm2m/gateway"
	"github.com/edgehold/edgehold/lwm2m/store"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

func gatewayCommand() *cobra.Command {
	var f gatewayFlags
	var level slog.Level
	c := &cobra.Command{
		Use: "gateway", Short: "Run the gateway of far-edge devices until it is told to stop", Args: cobra.NoArgs,
		Long: "gateway is an LwM2M server for devices and speaks SDF over MQTT with whoever wants something of them. It is a\n" +
			"process of its own, so that it lives and dies apart from the node's agent.",
		Example: "  edgeholdd gateway --config /etc/edgehold/gateway.yaml\n  edgeholdd gateway --set state_directory=/tmp/gateway --set 'lwm2m.nosec=[\"lab-*\"]'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := f.load()
			if err != nil {
				return err
			}
			return runGateway(cmd.Context(), config, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})))
		},
	}
	f.add(c)
	c.Flags().TextVar(&level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	c.AddCommand(gatewayCheckCommand(), gatewayExampleCommand(), gatewayHashCommand())
	return c
}

// gatewayFlags name a configuration: a file and what overrides it.
type gatewayFlags struct {
	path string
	set  []string
}

func (f *gatewayFlags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.path, "config", "c", "", "configuration file; without one the defaults hold")
	c.Flags().StringArrayVar(&f.set, "set", nil, "override one key, like lwm2m.dtls=:5684 (repeatable)")
}

func (f *gatewayFlags) load() (gatewayConfig, error) { return loadGatewayConfig(f.path, f.set) }

func gatewayCheckCommand() *cobra.Command {
	var f gatewayFlags
	c := &cobra.Command{
		Use: "check", Short: "Say everything that is wrong with a gateway's configuration", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := f.load()
			if err != nil {
				return err
			}
			if err := config.readable(); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "the configuration is valid")
			return nil
		},
	}
	f.add(c)
	return c
}

// readable reads every file that the configuration names, and reports each that can't be used.
func (c *gatewayConfig) readable() error {
	_, credentials := gateway.OpenCredentials(c.LwM2M.Credentials, c.LwM2M.NoSec...)
	_, models := c.models()
	_, keys := packageKeys(c.Packages.Keys)
	_, _, devices := c.LwM2M.x509()
	_, clients := c.MQTT.secrets().Listen()
	broker := c.MQTT.Broker.secrets().Read(&mqtt.DialConfig{})
	return errors.Join(credentials, models, keys, devices, clients, broker)
}

func gatewayExampleCommand() *cobra.Command {
	return &cobra.Command{
		Use: "example", Short: "Print a gateway's configuration with every key", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := yaml.Marshal(exampleGateway())
			if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			return err
		},
	}
}

// maxPassword bounds a password that is read.
const maxPassword = 1 << 10

func gatewayHashCommand() *cobra.Command {
	return &cobra.Command{
		Use: "hash-password", Short: "Turn a password, one line of standard input, into what mqtt.users takes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), maxPassword)).ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("read the password: %w", err)
			}
			line = strings.TrimRight(line, "\r\n")
			if line == "" {
				return errors.New("read the password: standard input is empty")
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), mqtt.HashPassword(line))
			return err
		},
	}
}

func exampleGateway() gatewayConfig {
	c := gatewayConfig{
		LwM2M: gatewayLwM2M{
			TCP: []string{":5683"}, TLS: []string{":5684"}, Certificate: "/etc/edgehold/gateway.crt", Key: "/etc/edgehold/gateway.key", ClientCA: "/etc/edgehold/devices.crt",
			Credentials: "/etc/edgehold/credentials.yaml", NoSec: []string{"lab-*"}, Models: "/etc/edgehold/models", MaxDevices: 200_000, Challenge: 500,
		},
		MQTT: gatewayMQTT{
			Listen: []string{defaultMQTTSocket, "mqtts://:8883"}, Certificate: "/etc/edgehold/gateway.crt", Key: "/etc/edgehold/gateway.key", ClientCA: "/etc/edgehold/applications.crt",
			Users: []gatewayUser{{Name: "dashboard", Password: "HASH", Things: []string{"sensor-*"}, ReadOnly: true}}, EmbedModels: true,
		},
		Packages:  gatewayPackages{Keys: []string{"/etc/edgehold/targets.pub"}},
		Bootstrap: gatewayBootstrap{DTLS: ":5784", Server: "coaps://gateway.example:5684", Lifetime: config.Duration(24 * time.Hour)},
		Metrics:   gatewayMonitoring{Listen: "127.0.0.1:9465"},
	}
	c.setDefaults()
	return c
}

// collectDevicesAt is collectAt of a gateway, most of whose memory is what devices take for long.
const collectDevicesAt = 40

// runGateway opens everything, serves, and closes it in the opposite order. What the store has is durable before it returns.
func runGateway(ctx context.Context, config gatewayConfig, log *slog.Logger) (err error) {
	debug.SetGCPercent(collectDevicesAt)
	parts, err := openGateway(ctx, config, log)
	if err != nil {
		return listening(err)
	}
	defer func() { err = errors.Join(err, parts.store.Close()) }()
	bus, err := parts.openBus(ctx)
	if err != nil {
		return errors.Join(listening(err), parts.closeTransports())
	}
	defer bus.close()
	left, err := parts.left()
	if err != nil {
		return errors.Join(err, parts.closeTransports())
	}
	heard := make(chan struct{})
	g, err := gateway.New(gateway.Config{
		Server: parts.server, Bus: bus.Bus, Models: parts.models, Facts: parts.store.Bucket(store.Settings), Strings: config.MQTT.Values == valuesStrings,
		Embed: config.MQTT.EmbedModels, PackageKeys: parts.keys, Left: left, Logger: log.With("part", "gateway"),
		Serve: mqtt.ServeConfig{Name: config.Name, Authorise: bus.authorise, Ready: func() { close(heard) }, Logger: log.With("part", "mqtt")},
	})
	if err != nil {
		return errors.Join(err, parts.closeTransports())
	}
	bus.up.Store(g)
	return parts.serve(ctx, bus, g, heard)
}

// serve runs all parts. The store runs longest: others write to it until they have ended. The broker takes clients when the gateway hears them, which
// takes a while with many devices: what they ask before would be lost.
func (p *gatewayParts) serve(ctx context.Context, bus *gatewayBus, g *gateway.Gateway, heard <-chan struct{}) error {
	kept, stop := context.WithCancel(context.WithoutCancel(ctx))
	var keeping errgroup.Group
	keeping.Go(func() error { return p.store.Run(kept) })
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		select {
		case <-heard:
			p.log.Info("ready", "gateway", p.config.Name, "devices", p.server.Len(), "lwm2m", p.addresses(), "mqtt", bus.addresses())
		case <-ctx.Done():
		}
		if bus.broker != nil {
			return bus.broker.Run(ctx)
		}
		return nil
	})
	group.Go(func() error { return p.server.Run(ctx) })
	group.Go(func() error { return g.Run(ctx) })
	group.Go(func() error { return p.credentials.Watch(ctx, credentialsEvery, p.log, p.credentialsChanged) })
	if p.bootstrap != nil {
		group.Go(func() error { return p.bootstrap.Run(ctx) })
	}
	if p.metrics != nil {
		group.Go(func() error { return p.serveMetrics(ctx, g) })
	}
	p.judge() // what the store had of those who were taken out of the file meanwhile
	err := group.Wait()
	stop()
	return errors.Join(err, keeping.Wait())
}

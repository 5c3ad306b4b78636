package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

const defaultBroker = "unix:///run/edgehold/mqtt.sock"

// devices are the commands about devices behind gateways. They speak SDF over MQTT to a broker, and to no agent.
type devices struct {
	*app
	broker, user, passwordFile, caFile, certFile, keyFile string
}

func (a *app) deviceCommand() *cobra.Command {
	d := &devices{app: a}
	c := group(&cobra.Command{
		Use: "device", Short: "Look at devices behind gateways, and change them", Aliases: []string{"devices"},
		Long: "A device is reached through the broker of its gateway, by default over " + defaultBroker + ". What it has is an object, its instances by number, and\n" +
			"their properties and actions, by name as in Temperature/0/Sensor_Value, or by number as in /3303/0/5700. A value is written with the name of a choice, or as it is.",
		Example: "  edgehold device list\n  edgehold device describe sensor-1\n  edgehold device read sensor-1 Temperature/0/Sensor_Value\n  edgehold device push sensor-1 average.bundle",
	})
	flags := c.PersistentFlags()
	flags.StringVar(&d.broker, "broker", "", "broker: unix:///PATH, mqtt://HOST:PORT or mqtts://HOST:PORT (EDGEHOLD_BROKER; default "+defaultBroker+")")
	flags.StringVar(&d.user, "user", "", "user at the broker (EDGEHOLD_BROKER_USER)")
	flags.StringVar(&d.passwordFile, "password-file", "", "file with the user's password (EDGEHOLD_BROKER_PASSWORD_FILE)")
	flags.StringVar(&d.caFile, "broker-ca", "", "certificates that the broker is checked against, PEM (EDGEHOLD_BROKER_CA)")
	flags.StringVar(&d.certFile, "cert", "", "certificate to show the broker, PEM; needs --key")
	flags.StringVar(&d.keyFile, "key", "", "key of --cert, PEM")
	c.AddCommand(d.list(), d.describe(), d.read(), d.write(), d.observe(), d.watch(), d.execute(), d.create(), d.deleteInstance(), d.discover(),
		d.knobs(), d.routes(), d.workloads(), d.push(), d.remove(), d.firmware())
	return c
}

// fleet is a connection to a broker.
type fleet struct {
	connection *mqtt.Connection
	client     *mqtt.Client
	timeout    time.Duration
}

// connect dials the broker. Requests go as CBOR, so that byte strings are bytes.
func (d *devices) connect(ctx context.Context) (*fleet, error) {
	config, err := d.dialConfig()
	if err != nil {
		return nil, err
	}
	connection, err := mqtt.Dial(ctx, config)
	if err != nil {
		return nil, err
	}
	client, err := mqtt.NewClient(ctx, connection, mqtt.ClientConfig{CBOR: true, Timeout: d.timeout})
	if err != nil {
		connection.Close()
		return nil, err
	}
	return &fleet{connection, client, d.timeout}, nil
}

func (f *fleet) close() {
	f.client.Close()
	f.connection.Close()
}

func (d *devices) dialConfig() (mqtt.DialConfig, error) {
	config := mqtt.DialConfig{
		Address: cmp.Or(d.broker, d.getenv("EDGEHOLD_BROKER"), defaultBroker),
		User:    cmp.Or(d.user, d.getenv("EDGEHOLD_BROKER_USER")),
	}
	return config, mqtt.Secrets{
		Password: cmp.Or(d.passwordFile, d.getenv("EDGEHOLD_BROKER_PASSWORD_FILE")), CA: cmp.Or(d.caFile, d.getenv("EDGEHOLD_BROKER_CA")), Certificate: d.certFile, Key: d.keyFile,
	}.Read(&config)
}

// asks is a command about devices that ends by itself.
type asks func(ctx context.Context, f *fleet, p *cli.Printer, args []string) error

// asking runs ask within the command's time.
func (d *devices) asking(ask asks) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		ctx, cancel := context.WithTimeout(c.Context(), d.timeout)
		defer cancel()
		return late(ctx, d.timeout, d.withFleet(ctx, ask, args))
	}
}

// watching runs ask until it is interrupted.
func (d *devices) watching(ask asks) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		return late(c.Context(), d.timeout, d.withFleet(c.Context(), ask, args))
	}
}

func (d *devices) withFleet(ctx context.Context, ask asks, args []string) error {
	p, err := d.printer()
	if err != nil {
		return err
	}
	f, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer f.close()
	return ask(ctx, f, p, args)
}

// late says what to do about a request that nobody answered.
func late(ctx context.Context, limit time.Duration, err error) error {
	if !errors.Is(err, mqtt.ErrNoAnswer) || errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	return &deviceError{Failure: cli.Failure{
		Attempt: "ask the gateway", Code: "device.no-answer", Why: "nobody answered within " + limit.String(),
		Hint: "see that a gateway is connected to this broker; a device that sleeps answers when it wakes: allow more with --timeout",
	}, exit: exitUnreachable}
}

// deviceError is what a command about devices found out by itself.
type deviceError struct {
	cli.Failure
	exit int
}

func failDevice(exit int, attempt, code, why, hint string) error {
	return &deviceError{cli.Failure{Attempt: attempt, Code: code, Why: why, Hint: hint}, exit}
}

// deviceExit is the exit code of an error about devices.
func deviceExit(err error) int {
	if own, ok := errors.AsType[*deviceError](err); ok {
		return own.exit
	}
	e, ok := errors.AsType[*mqtt.Error](err)
	switch {
	case !ok:
		return exitFailed
	case e.Code == "broker.credentials":
		return exitUsage
	case e.Code == "broker.unreachable", e.Status == mqtt.Timeout, e.Status == mqtt.Unavailable, e.Status == mqtt.BadGateway:
		return exitUnreachable
	case e.Status == mqtt.NotFound:
		return exitNotFound
	case e.Status == mqtt.Unauthorized, e.Status == mqtt.Forbidden:
		return exitForbidden
	}
	return exitFailed
}

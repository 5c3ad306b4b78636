package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/plugins/registry"
)

func (a *app) registryServe() *cobra.Command {
	var listen, certificate, key string
	c := &cobra.Command{
		Use: "serve FOLDER", Short: "Serve a folder as a read-only registry", Args: args(1, 1, "a folder in the form of an OCI image layout"),
		Long: "What lies in the folder can be pulled from any repository of the registry, until this command is interrupted. Nobody is asked who they are. " +
			"Without a certificate the address has to be of this machine or a private one.",
		Example: "  edgehold registry serve shelf --listen 127.0.0.1:0",
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:5443", "address to listen on; port 0 is any that is free")
	c.Flags().StringVar(&certificate, "certificate", "", "certificate for TLS, PEM")
	c.Flags().StringVar(&key, "key", "", "its key, PEM")
	c.RunE = func(c *cobra.Command, args []string) error {
		l, err := listenFor(listen, certificate, key)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "serving %s on %s\n", args[0], l.Addr())
		return registry.Run(c.Context(), l, registry.Serve(args[0]), slog.New(slog.DiscardHandler))
	}
	return c
}

func listenFor(address, certificate, key string) (net.Listener, error) {
	refused := func(why, hint string) error {
		return &cli.Failure{Attempt: "listen on " + address, Code: "registry.not-served", Why: why, Hint: hint}
	}
	var secure *tls.Config
	if certificate != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, refused(err.Error(), "give --certificate and --key, PEM files")
		}
		secure = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	} else if !registry.IsPrivate(address) {
		return nil, refused("it would be reached from anywhere without TLS", "give --certificate and --key, or the address of a private network")
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, refused(err.Error(), "choose another address")
	}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	return l, nil
}

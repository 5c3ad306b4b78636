package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/coap/dtls"
	"github.com/edgehold/edgehold/lwm2m/gateway"
	"github.com/edgehold/edgehold/lwm2m/model"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/lwm2m/server/bootstrap"
	"github.com/edgehold/edgehold/lwm2m/store"
	"github.com/edgehold/edgehold/plugins/parcel"
)

// gatewayParts is what a gateway is put together of. Names of transports are kept with registrations, so they do not change.
type gatewayParts struct {
	config      gatewayConfig
	log         *slog.Logger
	models      *model.Registry
	keys        []ed25519.PublicKey
	credentials *gateway.Credentials
	store       *store.Store
	transports  []coap.Transport
	closers     map[string]coap.Closer
	listening   []string
	dtls        *dtls.Transport
	server      *server.Server
	bootstrap   *bootstrap.Server
	metrics     net.Listener
}

func openGateway(ctx context.Context, config gatewayConfig, log *slog.Logger) (p *gatewayParts, err error) {
	p = &gatewayParts{config: config, log: log, closers: map[string]coap.Closer{}}
	if p.models, err = config.models(); err != nil {
		return nil, err
	}
	if p.keys, err = packageKeys(config.Packages.Keys); err != nil {
		return nil, err
	}
	if p.credentials, err = gateway.OpenCredentials(config.LwM2M.Credentials, config.LwM2M.NoSec...); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(config.StateDirectory, 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	opened, report, err := store.Open(config.StateDirectory, store.Options{Logger: log.With("part", "store")})
	if err != nil {
		return nil, err
	}
	p.store = opened
	log.Info("store opened", "records", report.Records, "bytes", report.Bytes, "torn", report.Torn, "damaged", len(report.Damaged))
	if len(report.Damaged) > 0 {
		log.Warn("the store has lost records; devices shake hands again, as their stored keys may be out of date", "damaged", len(report.Damaged))
		if err := forgetStates(ctx, p.store); err != nil {
			return nil, errors.Join(err, p.store.Close())
		}
	}
	if err := errors.Join(p.listen(ctx), p.listenMetrics()); err != nil {
		return nil, errors.Join(err, p.closeTransports(), p.store.Close())
	}
	p.server, err = server.New(server.Config{
		Transports: p.transports, Authorise: p.credentials.Authorise, Models: p.models, Store: p.store, FirstReads: gateway.FirstReads(),
		Limits: server.Limits{Devices: config.LwM2M.MaxDevices, Challenge: config.LwM2M.Challenge}, Logger: log.With("part", "lwm2m"),
	})
	if err == nil {
		err = p.openBootstrap()
	}
	if err != nil {
		return nil, errors.Join(err, p.closeTransports(), p.store.Close())
	}
	return p, nil
}

// left are the devices that the process before this one announced.
func (p *gatewayParts) left() (endpoints []string, err error) {
	err = p.store.Each(store.Settings, func(key, _ []byte) error {
		if endpoint, ok := gateway.Announced(key); ok {
			endpoints = append(endpoints, endpoint)
		}
		return nil
	})
	return endpoints, err
}

// models are those of the program and those of the folder.
func (c *gatewayConfig) models() (*model.Registry, error) {
	r := model.Core()
	if c.LwM2M.Models == "" {
		return r, nil
	}
	more, err := model.ParseFS(os.DirFS(c.LwM2M.Models))
	if err == nil {
		err = r.Add(more...)
	}
	if err != nil {
		return nil, fmt.Errorf("read object definitions in %s: %w", c.LwM2M.Models, err)
	}
	return r, nil
}

func packageKeys(files []string) ([]ed25519.PublicKey, error) {
	var keys []ed25519.PublicKey
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the key of device packages: %w", err)
		}
		key, err := parcel.ParseKey(raw)
		if err != nil {
			return nil, fmt.Errorf("read the key of device packages %s: %w", file, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (p *gatewayParts) closeTransports() error {
	var problems []error
	for _, t := range p.transports {
		if closer, ok := t.(interface{ Close() error }); ok {
			problems = append(problems, closer.Close())
		}
	}
	if p.metrics != nil {
		problems = append(problems, p.metrics.Close())
	}
	return errors.Join(problems...)
}

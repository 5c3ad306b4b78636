package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/edgehold/edgehold/lwm2m/gateway"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// gatewayBus is the broker, in this process or elsewhere.
type gatewayBus struct {
	mqtt.Bus
	broker    *mqtt.Broker
	authorise func(user string, r *mqtt.Request) error
	up        atomic.Pointer[gateway.Gateway] // told when the connection is there again
	close     func()
	address   string
}

func (b *gatewayBus) addresses() string {
	if b.broker == nil {
		return b.address
	}
	var all []string
	for _, a := range b.broker.Addresses() {
		all = append(all, a.Network()+"://"+a.String())
	}
	return strings.Join(all, " ")
}

func (p *gatewayParts) openBus(ctx context.Context) (*gatewayBus, error) {
	if p.config.MQTT.Broker.Address != "" {
		return p.dialBroker(ctx)
	}
	config, err := p.brokerConfig()
	if err != nil {
		return nil, err
	}
	broker, err := mqtt.NewBroker(config)
	if err != nil {
		return nil, err
	}
	b := &gatewayBus{Bus: broker.Bus("gateway"), broker: broker, close: func() {}}
	if len(config.Access) > 0 {
		b.authorise = broker.Authorise
	}
	return b, nil
}

// localUser is who connects over a unix socket: whoever its mode lets in.
const localUser = "local"

func (p *gatewayParts) brokerConfig() (mqtt.BrokerConfig, error) {
	m := p.config.MQTT
	config := mqtt.BrokerConfig{Logger: p.log.With("part", "broker")}
	secured, err := m.secrets().Listen()
	if err != nil {
		return config, err
	}
	for _, address := range m.Listen {
		l := mqtt.Listener{Address: address}
		if socket, ok := strings.CutPrefix(address, "unix://"); ok {
			if len(m.Users) > 0 {
				l.User = localUser
			}
			if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
				return config, fmt.Errorf("make the folder of the socket: %w", err)
			}
		}
		if strings.HasPrefix(address, "mqtts://") {
			l.TLS = secured
		}
		config.Listeners = append(config.Listeners, l)
	}
	for _, u := range m.Users {
		config.Access = append(config.Access, mqtt.User{Name: u.Name, Password: u.Password, Things: u.Things, ReadOnly: u.ReadOnly})
	}
	if len(m.Users) > 0 {
		config.Access = append(config.Access, mqtt.User{Name: localUser})
	}
	return config, nil
}

func (m *gatewayMQTT) secrets() mqtt.Secrets {
	return mqtt.Secrets{CA: m.ClientCA, Certificate: m.Certificate, Key: m.Key}
}

func (p *gatewayParts) dialBroker(ctx context.Context) (*gatewayBus, error) {
	m := p.config.MQTT.Broker
	b := &gatewayBus{address: m.Address}
	config := mqtt.DialConfig{
		Address: m.Address, User: m.User, Gateway: p.config.Name,
		Up: func(context.Context) {
			if g := b.up.Load(); g != nil {
				g.Reannounce()
			}
		},
		Down: func(err error) { p.log.Warn("the broker is away", "address", m.Address, "error", err) },
	}
	if err := m.secrets().Read(&config); err != nil {
		return nil, err
	}
	connection, err := mqtt.Dial(ctx, config)
	if err != nil {
		return nil, err
	}
	b.Bus, b.close = connection, connection.Close
	return b, nil
}

func (m *gatewayBroker) secrets() mqtt.Secrets {
	return mqtt.Secrets{Password: m.PasswordFile, CA: m.CA, Certificate: m.Certificate, Key: m.Key}
}

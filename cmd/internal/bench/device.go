package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/plugins/parcel"
	"github.com/edgehold/edgehold/plugins/pluginstest"
)

// deviceMemory measures edgehold-device with a workload that ticks each second, some seconds after it has settled: all that is
// resident, or what of it is no page of a file.
func deviceMemory(field string) func(context.Context) (Measured, error) {
	return func(ctx context.Context) (m Measured, err error) {
		dir, err := os.MkdirTemp("", "edgehold-bench-")
		if err != nil {
			return m, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		packed, key, err := averageParcel(dir)
		if err != nil {
			return m, err
		}
		u, err := coap.ListenUDP(ctx, coap.UDPConfig{Addresses: []string{"127.0.0.1:0"}})
		if err != nil {
			return m, err
		}
		s, err := server.New(server.Config{Transports: []coap.Transport{u}, Authorise: server.Bound("*")})
		if err != nil {
			return m, err
		}
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- s.Run(running) }()
		defer func() {
			stop()
			err = errors.Join(err, <-ended)
		}()
		d, err := startDevice(ctx, dir, u.Addresses()[0].String(), key)
		if err != nil {
			return m, err
		}
		defer func() {
			_ = d.Process.Signal(syscall.SIGTERM)
			err = errors.Join(err, d.Wait())
		}()
		if err := pushParcel(ctx, s, packed); err != nil {
			return m, err
		}
		time.Sleep(deviceSettles)
		kib, err := processField(d.Process.Pid, field)
		return Measured{Ours: kib / 1024, Unit: "MB"}, err
	}
}

// deviceSettles is longer than the device takes to give back what its start needed.
const deviceSettles = 8 * time.Second

const averageExample = "./examples/07-temp-average"

// averageParcel signs the example, and writes the public key into the folder.
func averageParcel(dir string) (packed []byte, keyFile string, err error) {
	module, err := pluginstest.TinyGo(averageExample)
	if err != nil {
		return nil, "", err
	}
	text, err := os.ReadFile(filepath.Join(averageExample, "policy.yaml"))
	if err != nil {
		return nil, "", err
	}
	manifest, err := plugins.ParseManifest(text)
	if err != nil {
		return nil, "", err
	}
	if module, err = plugins.Pack(module, manifest); err != nil {
		return nil, "", err
	}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	seal, err := parcel.Seal(parcel.Statement{Name: manifest.Name, Version: manifest.Version, Kind: manifest.Kind, Digest: sha256.Sum256(module),
		Length: uint64(len(module)), Counter: 1, Devices: "*"}, key)
	if err != nil {
		return nil, "", err
	}
	keyFile = filepath.Join(dir, "targets.pub")
	public := fmt.Sprintf(`{"ed25519_public":%q}`, hex.EncodeToString(key.Public().(ed25519.PublicKey)))
	if err := os.WriteFile(keyFile, []byte(public), 0o600); err != nil {
		return nil, "", err
	}
	packed, err = parcel.Pack(seal, module)
	return packed, keyFile, err
}

func startDevice(ctx context.Context, dir, address, key string) (*exec.Cmd, error) {
	program := filepath.Join(dir, "edgehold-device")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "./cmd/edgehold-device")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the device: %w\n%s", err, text)
	}
	d := exec.CommandContext(ctx, program, "run", "--endpoint", "bench-1", "--server", "coap://"+address, "--state-dir", filepath.Join(dir, "state"),
		"--simulate", "--sample", "1s", "--trust-key", key, "--log-level", "error")
	return d, d.Start()
}

// pushParcel waits for the device and starts the workload on it.
func pushParcel(ctx context.Context, s *server.Server, packed []byte) error {
	if err := poll(ctx, func() bool { return s.Len() > 0 }); err != nil {
		return err
	}
	instance := lwm2m.PathOf(9, 1)
	if _, err := s.Create(ctx, "bench-1", instance, nil); err != nil {
		return err
	}
	p := instance.Child(2)
	if err := s.Replace(ctx, "bench-1", p, lwm2m.Tree{{Path: p, Value: lwm2m.Opaque(packed)}}); err != nil {
		return err
	}
	return errors.Join(s.Execute(ctx, "bench-1", instance.Child(4), ""), s.Execute(ctx, "bench-1", instance.Child(10), ""))
}

// processField reads a size in KiB from /proc/PID/status.
func processField(pid int, field string) (float64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) == 3 && words[0] == field+":" {
			return strconv.ParseFloat(words[1], 64)
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no %s", pid, field)
}

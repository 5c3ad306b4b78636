// Package node is the agent of one machine: it binds guests, mechanisms, telemetry and durable state to the MAPE engine.
// It is not a program and does not serve the HTTP interface; cmd/edgeholdd is and does.
//
// A Node is put together once (node.go) from a configuration (package config) and consists of:
//
//   - what the engine looks through and acts by: package loop, and the mechanisms of this machine (equipment.go);
//   - policies, one version or two of each: how a module is taken in (policies.go, fetch.go, folder.go, accept.go), comes into charge
//     (activate.go), starts, stops and is deleted (lifecycle.go), and is looked after (review.go);
//   - rollouts, which own every change of version: trial.go steps the state machine of package rollout and carries out what it
//     asks for (exchange.go), tally.go and measure.go tell it how the versions do;
//   - adapters, modules that are mechanisms: which version serves (adapters.go), what it is plugged into (package plug), and the
//     driver (package adapter);
//   - trust: what may run, and the director that says what should (package trust; delivery.go has what it needs from here);
//   - what people are shown: the *view.go files, decisions.go, replay.go, doctor.go, audit.go, metrics.go.
//
// Versions change one at a time, under policies.mu, which is held across the database and the engine.
package node

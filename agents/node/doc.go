// Package node is the agent of one machine: it binds guests, mechanisms, telemetry and durable state to the MAPE engine.
// It is not a program and opens no socket of its own; cmd/edgeholdd does that.
package node

// Package node is the agent of one machine: it binds guests, mechanisms, telemetry and durable state to the MAPE engine.
// It is not a program and does not serve the HTTP interface; cmd/edgeholdd is and does.
package node

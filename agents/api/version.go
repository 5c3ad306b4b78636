package api

import "time"

// Version says what a daemon is.
type Version struct {
	Version   string    `json:"version" example:"0.1.0" doc:"Version of the daemon."`
	Revision  string    `json:"revision,omitempty" doc:"Revision of its source."`
	Go        string    `json:"go" example:"go1.26" doc:"Go release that built it."`
	Platform  string    `json:"platform" example:"linux/arm64" doc:"Operating system and architecture."`
	ABI       uint32    `json:"abi" example:"1" doc:"Version of the contract with guests."`
	Engine    string    `json:"engine,omitempty" example:"compiler" doc:"How guests run: compiler or interpreter."`
	Node      string    `json:"node,omitempty" doc:"Name of the node."`
	StartedAt time.Time `json:"started_at,omitzero" doc:"When the daemon started."`
}

package api

import "time"

// ModeName is a management mode.
type ModeName string

const (
	// ModeHeuristic switches off every policy that declares the use of machine learning.
	ModeHeuristic ModeName = "heuristic"
	// ModeML lets every enabled policy run.
	ModeML ModeName = "ml"
)

// Mode is the management mode of the agent.
type Mode struct {
	Mode  ModeName  `json:"mode" enum:"heuristic,ml" doc:"Mode in force."`
	Since time.Time `json:"since,omitzero" doc:"When it was set."`
	SetBy string    `json:"set_by,omitempty" doc:"Who set it."`
	// Suspended names the policies that wait because of the mode.
	Suspended []string `json:"suspended,omitempty" doc:"Policies that wait because of the mode."`
}

// ModeRequest asks for another mode.
type ModeRequest struct {
	Mode ModeName `json:"mode" enum:"heuristic,ml" doc:"Mode to set."`
}

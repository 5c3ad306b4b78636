package api

// ReplayRequest asks for a recorded decision to be run again.
type ReplayRequest struct {
	Version string `json:"version,omitempty" maxLength:"128" doc:"Another stored version, for a counterfactual. Empty replays the version that decided."`
	Module  []byte `json:"module,omitempty" doc:"Another module, base64 encoded, for a counterfactual."`
}

// ReplayReport says whether a decision came out the same, or what another version would have planned.
type ReplayReport struct {
	DecisionID     string          `json:"decision_id" doc:"Decision that was replayed."`
	Counterfactual bool            `json:"counterfactual" doc:"Whether another module was used."`
	RecordedWith   string          `json:"recorded_with" doc:"Version that decided."`
	ReplayedWith   string          `json:"replayed_with" doc:"Version that was replayed."`
	SameBytes      bool            `json:"same_bytes" doc:"Whether every response had the same bytes."`
	SameFuel       bool            `json:"same_fuel" doc:"Whether every call used the same fuel."`
	SamePlan       bool            `json:"same_plan" doc:"Whether both plans ask for the same."`
	RecordedFuel   uint64          `json:"recorded_fuel" doc:"Fuel of the recorded calls."`
	ReplayedFuel   uint64          `json:"replayed_fuel" doc:"Fuel of the replayed calls."`
	Difference     *ReplayDiff     `json:"difference,omitempty" doc:"First difference."`
	RecordedPlan   []PlannedChange `json:"recorded_plan" doc:"Plan that was recorded; empty if none."`
	ReplayedPlan   []PlannedChange `json:"replayed_plan" doc:"Plan of the replay; empty if none."`
	RecordedWhy    string          `json:"recorded_why,omitempty" doc:"Reason that was recorded."`
	ReplayedWhy    string          `json:"replayed_why,omitempty" doc:"Reason given in the replay."`
	Error          *Problem        `json:"error,omitempty" doc:"How the replayed module failed."`
}

// ReplayDiff is the first place where a replay differs.
type ReplayDiff struct {
	Call     int    `json:"call" doc:"Index of the call within the episode."`
	Op       string `json:"op" example:"plan" doc:"Operation of that call."`
	Offset   int    `json:"offset" doc:"Offset in the response; -1 when only the fuel differs."`
	Recorded string `json:"recorded" doc:"Recorded bytes from there, in hexadecimal, or the fuel."`
	Replayed string `json:"replayed" doc:"Replayed bytes from there, in hexadecimal, or the fuel."`
}

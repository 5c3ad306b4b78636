package api

import "time"

// AuditEntry is one line of the append-only audit. Each holds the hash of the one before.
type AuditEntry struct {
	Seq     uint64            `json:"seq" doc:"Position in the chain, from 1."`
	At      time.Time         `json:"at" doc:"When it was written."`
	Actor   string            `json:"actor" example:"unix:uid=1000(ada)" doc:"Who acted."`
	Action  string            `json:"action" example:"policy.upload" doc:"What was attempted."`
	Target  string            `json:"target,omitempty" doc:"What it was attempted on."`
	Outcome string            `json:"outcome" example:"accepted" doc:"How it ended."`
	Code    string            `json:"code,omitempty" doc:"Stable code of a refusal."`
	Detail  map[string]string `json:"detail,omitempty" doc:"Further facts."`
	Hash    string            `json:"hash" doc:"SHA-256 over this entry and the hash before."`
}

// AuditPage is the answer to listing the audit, newest first.
type AuditPage struct {
	Items []AuditEntry `json:"items" doc:"Entries, newest first."`
	Next  string       `json:"next,omitempty" doc:"Cursor of the next page; empty at the end."`
}

// AuditFilter chooses entries. Empty fields do not filter.
type AuditFilter struct {
	Action string
	Target string
	Since  time.Time
	Until  time.Time
	Limit  int
	Cursor string
}

// AuditVerification says whether the chain is whole.
type AuditVerification struct {
	Whole    bool   `json:"whole" doc:"Whether every hash fits."`
	Entries  uint64 `json:"entries" doc:"Entries that were checked."`
	Head     string `json:"head,omitempty" doc:"Hash of the newest entry, to be kept elsewhere."`
	BrokenAt uint64 `json:"broken_at,omitempty" doc:"First entry that does not fit."`
	Detail   string `json:"detail,omitempty" doc:"What is wrong with it."`
}

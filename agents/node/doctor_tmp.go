package node

import (
	"context"
	"github.com/edgehold/edgehold/agents/api"
)

type TmpDoctor struct{}

func (TmpDoctor) Examine(context.Context) (api.DoctorReport, error) { return api.DoctorReport{}, nil }

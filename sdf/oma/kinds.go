package oma

import (
	"math"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/sdf"
)

// Values of oma:type, for the types that SDF's own don't tell apart.
const (
	typeUnsigned   = "unsigned"
	typeObjectLink = "objlnk"
	typeCoreLink   = "corelnk"
)

const linkFormat = "application/link-format"

// setKind writes a data type of LwM2M (Core 1.2, appendix C) in data qualities.
func setKind(q *sdf.Data, kind lwm2m.Kind) {
	switch kind {
	case lwm2m.KindString:
		q.Type = sdf.TypeString
	case lwm2m.KindInteger:
		q.Type = sdf.TypeInteger
	case lwm2m.KindUnsigned:
		q.Type, q.Minimum, q.Maximum = sdf.TypeInteger, int64(0), uint64(math.MaxUint64)
		set(&q.Common, qualityType, typeUnsigned)
	case lwm2m.KindFloat:
		q.Type = sdf.TypeNumber
	case lwm2m.KindBoolean:
		q.Type = sdf.TypeBoolean
	case lwm2m.KindOpaque:
		q.Type, q.SDFType = sdf.TypeString, sdf.ByteString
	case lwm2m.KindTime:
		q.Type, q.SDFType = sdf.TypeNumber, sdf.UnixTime
	case lwm2m.KindCoreLink:
		q.Type, q.ContentFormat = sdf.TypeString, linkFormat
		set(&q.Common, qualityType, typeCoreLink)
	case lwm2m.KindObjectLink:
		q.Type, q.RequiredNames = sdf.TypeObject, []string{"object", "instance"}
		q.Properties = map[string]*sdf.Data{"object": identifier(), "instance": identifier()}
		set(&q.Common, qualityType, typeObjectLink)
	}
}

func identifier() *sdf.Data {
	return &sdf.Data{Type: sdf.TypeInteger, Minimum: int64(0), Maximum: int64(lwm2m.NoID)}
}

// KindOf returns the LwM2M type that data qualities stand for; of an array, that of its items. Models that were not made here are read too.
func KindOf(q *sdf.Data) lwm2m.Kind {
	if q.Type == sdf.TypeArray && q.Items != nil {
		q = q.Items
	}
	switch q.Extra[qualityType] {
	case typeUnsigned:
		return lwm2m.KindUnsigned
	case typeObjectLink:
		return lwm2m.KindObjectLink
	case typeCoreLink:
		return lwm2m.KindCoreLink
	}
	switch {
	case q.SDFType == sdf.ByteString:
		return lwm2m.KindOpaque
	case q.SDFType == sdf.UnixTime:
		return lwm2m.KindTime
	case q.ContentFormat == linkFormat:
		return lwm2m.KindCoreLink
	}
	return plainKinds[q.Type]
}

var plainKinds = map[string]lwm2m.Kind{
	sdf.TypeString: lwm2m.KindString, sdf.TypeInteger: lwm2m.KindInteger, sdf.TypeNumber: lwm2m.KindFloat, sdf.TypeBoolean: lwm2m.KindBoolean,
}

// set adds a quality of ours.
func set(c *sdf.Common, quality string, value any) {
	if c.Extra == nil {
		c.Extra = map[string]any{}
	}
	c.Extra[quality] = value
}

// setText adds a quality of ours unless it is empty.
func setText(c *sdf.Common, quality, value string) {
	if value != "" {
		set(c, quality, value)
	}
}

func text(c *sdf.Common, quality string) string {
	value, _ := c.Extra[quality].(string)
	return value
}

// number reads an id.
func number(c *sdf.Common, quality string) (uint16, bool) {
	n, ok := c.Extra[quality].(int64)
	return uint16(n), ok && n >= 0 && n < lwm2m.NoID
}

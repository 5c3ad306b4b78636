package codec

import (
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
)

// kinds are the types of the tests, by path without the instance numbers of resources.
type kinds map[lwm2m.Path]lwm2m.Kind

func (k kinds) Kind(p lwm2m.Path) (kind lwm2m.Kind, multiple, ok bool) {
	kind, ok = k[lwm2m.PathOf(p.Object(), p.Resource())]
	return kind, p.Depth() == 4, ok
}

var device = kinds{
	{}:                       lwm2m.KindNone,
	lwm2m.PathOf(2, 0):       lwm2m.KindInteger,
	lwm2m.PathOf(2, 1):       lwm2m.KindInteger,
	lwm2m.PathOf(2, 2):       lwm2m.KindInteger,
	lwm2m.PathOf(2, 3):       lwm2m.KindInteger,
	lwm2m.PathOf(3, 0):       lwm2m.KindString,
	lwm2m.PathOf(3, 1):       lwm2m.KindString,
	lwm2m.PathOf(3, 2):       lwm2m.KindString,
	lwm2m.PathOf(3, 3):       lwm2m.KindString,
	lwm2m.PathOf(3, 6):       lwm2m.KindInteger,
	lwm2m.PathOf(3, 7):       lwm2m.KindInteger,
	lwm2m.PathOf(3, 8):       lwm2m.KindInteger,
	lwm2m.PathOf(3, 9):       lwm2m.KindInteger,
	lwm2m.PathOf(3, 10):      lwm2m.KindInteger,
	lwm2m.PathOf(3, 11):      lwm2m.KindInteger,
	lwm2m.PathOf(3, 13):      lwm2m.KindTime,
	lwm2m.PathOf(3, 14):      lwm2m.KindString,
	lwm2m.PathOf(3, 16):      lwm2m.KindString,
	lwm2m.PathOf(3, 22):      lwm2m.KindObjectLink,
	lwm2m.PathOf(5, 0):       lwm2m.KindOpaque,
	lwm2m.PathOf(5, 13):      lwm2m.KindUnsigned,
	lwm2m.PathOf(5, 14):      lwm2m.KindBoolean,
	lwm2m.PathOf(65, 0):      lwm2m.KindObjectLink,
	lwm2m.PathOf(65, 1):      lwm2m.KindString,
	lwm2m.PathOf(65, 2):      lwm2m.KindInteger,
	lwm2m.PathOf(66, 0):      lwm2m.KindString,
	lwm2m.PathOf(66, 1):      lwm2m.KindString,
	lwm2m.PathOf(66, 2):      lwm2m.KindObjectLink,
	lwm2m.PathOf(72, 2):      lwm2m.KindFloat,
	lwm2m.PathOf(3303, 5700): lwm2m.KindFloat,
	lwm2m.PathOf(9, 4):       lwm2m.KindNone,
	lwm2m.PathOf(16, 0):      lwm2m.KindCoreLink,
}

// deviceText is what the examples of the specification tell of object 3.
const deviceText = `/3/0/0 = "Open Mobile Alliance", /3/0/1 = "Lightweight M2M Client", /3/0/2 = "345000123", /3/0/3 = "1.0", /3/0/6/0 = 1, /3/0/6/1 = 5, ` +
	`/3/0/7/0 = 3800, /3/0/7/1 = 5000, /3/0/8/0 = 125, /3/0/8/1 = 900, /3/0/9 = 100, /3/0/10 = 15, /3/0/11/0 = 0, /3/0/13 = 2013-05-02T10:40:15Z, ` +
	`/3/0/14 = "+02:00", /3/0/16 = "U"`

// vectors are the examples of Core 1.0 §6.4 and Core 1.2 §7.5, and packets of real devices.
var vectors = []struct {
	name    string
	format  lwm2m.Format
	base    string
	payload string // hexadecimal with blanks, or text
	want    string
	again   bool // encodes to the same bytes
}{
	{"a device in TLV", lwm2m.FormatTLV, "/3/0", `C80014 4F70656E204D6F62696C6520416C6C69616E6365 C80116 4C69676874776569676874204D324D20436C69656E74 C80209 333435303030313233
		C303 312E30 8606 410001 410105 8708 42000ED8 42011388 8708 `, "", false},
	{"a device in TLV, whole", lwm2m.FormatTLV, "/3/0", `C80014 4F70656E204D6F62696C6520416C6C69616E6365 C80116 4C69676874776569676874204D324D20436C69656E74 C80209 333435303030313233
		C303 312E30 8606 410001 410105 880708 42000ED8 42011388 8708 41007D 42010384 C10964 C10A0F 830B 410000 C40D 5182428F C60E 2B30323A3030 C11055`, deviceText, true},
	{"two instances in TLV", lwm2m.FormatTLV, "/2", `08000E C10001 C10100 83024 17F07 C1037F 080212 C10003 C10100 8702 417F07 61013601 C1037F`,
		`/2/0/0 = 1, /2/0/1 = 0, /2/0/2/127 = 7, /2/0/3 = 127, /2/2/0 = 3, /2/2/1 = 0, /2/2/2/127 = 7, /2/2/2/310 = 1, /2/2/3 = 127`, true},
	{"object links in TLV", lwm2m.FormatTLV, "/65/0", `88000C 4400 00420000 4401 00420001 C8010D 38363133383030373535353030 C40212345678`,
		`/65/0/0/0 = 66:0, /65/0/0/1 = 66:1, /65/0/1 = "8613800755500", /65/0/2 = 305419896`, true},
	{"null links in TLV", lwm2m.FormatTLV, "/66", `080026 C8000B 6D79536572766963652031 C8010F 496E7465726E65742E31352E323334 C40200430000 080126 C8000B 6D79536572766963652032 C8010F 496E7465726E65742E31352E323335 C402FFFFFFFF`,
		`/66/0/0 = "myService 1", /66/0/1 = "Internet.15.234", /66/0/2 = 67:0, /66/1/0 = "myService 2", /66/1/1 = "Internet.15.235", /66/1/2 = 65535:65535`, true},
	{"an instance in its own TLV", lwm2m.FormatTLV, "/3/0", `080003 C10964`, `/3/0/9 = 100`, false},
	{"resources of an object with one instance", lwm2m.FormatTLV, "/3", `C10964`, `/3/0/9 = 100`, false},
	{"a resource", lwm2m.FormatTLV, "/3/0/9", `C10964`, `/3/0/9 = 100`, true},
	{"a multiple resource", lwm2m.FormatTLV, "/3/0/7", `880708 42000ED8 42011388`, `/3/0/7/0 = 3800, /3/0/7/1 = 5000`, true},
	{"a resource instance", lwm2m.FormatTLV, "/3/0/7/1", `42011388`, `/3/0/7/1 = 5000`, true},
	{"a resource instance in its resource", lwm2m.FormatTLV, "/3/0/7/1", `8407 42011388`, `/3/0/7/1 = 5000`, false},
	{"an empty instance", lwm2m.FormatTLV, "/9", `0003`, `/9/3 = none`, true},
	{"an empty multiple resource", lwm2m.FormatTLV, "/3/0", `8006`, `/3/0/6 = none`, true},
	{"floats and long identifiers", lwm2m.FormatTLV, "/3303/0", `E4164441A40000`, `/3303/0/5700 = 20.5`, true},
	{"a negative integer", lwm2m.FormatTLV, "/3/0/9", `C109F6`, `/3/0/9 = -10`, true},
	{"an unsigned integer", lwm2m.FormatTLV, "/5/0/13", `C10DF6`, `/5/0/13 = 246`, true},
	{"an unknown resource", lwm2m.FormatTLV, "/3/0/99", `C26301FF`, `/3/0/99 = 0x01ff`, true},

	{"a device in SenML JSON", lwm2m.FormatSenMLJSON, "/3/0", `[{"bn":"/3/0/","n":"0","vs":"Open Mobile Alliance"},{"n":"1","vs":"Lightweight M2M Client"},{"n":"2","vs":"345000123"},{"n":"3","vs":"1.0"},` +
		`{"n":"6/0","v":1},{"n":"6/1","v":5},{"n":"7/0","v":3800},{"n":"7/1","v":5000},{"n":"8/0","v":125},{"n":"8/1","v":900},{"n":"9","v":100},{"n":"10","v":15},{"n":"11/0","v":0},` +
		`{"n":"13","v":1367491215},{"n":"14","vs":"+02:00"},{"n":"16","vs":"U"}]`, deviceText, true},
	{"a value in SenML JSON", lwm2m.FormatSenMLJSON, "/3/0/9", `[{"bn":"/3/0/9","v":100}]`, `/3/0/9 = 100`, true},
	{"a time series", lwm2m.FormatSenMLJSON, "/72/0", ` [ {"bn":"/72/","bt":25462634,"n":"0/2","v":22.4,"t":1700000000},{"n":"0/2","v":22.9,"t":1700000001.5} ] `,
		`/72/0/2 = 22.4 at 2024-09-04T15:10:34Z, /72/0/2 = 22.9 at 2024-09-04T15:10:35.5Z`, false},
	{"times from now", lwm2m.FormatSenMLJSON, "/72/0", `[{"bn":"/72/0/2","v":1.5,"t":-5}]`, `/72/0/2 = 1.5 at 2026-11-21T23:59:55Z`, false},
	{"an object link", lwm2m.FormatSenMLJSON, "/3/0/22/0", `[{"bn":"/3/0/22/0","vlo":"9:3"}]`, `/3/0/22/0 = 9:3`, true},
	{"opaque bytes", lwm2m.FormatSenMLJSON, "/5/0", `[{"bn":"/5/0/","n":"0","vd":"-_8"},{"n":"14","vb":true}]`, `/5/0/0 = 0xfbff, /5/0/14 = true`, true},
	{"an empty instance in SenML JSON", lwm2m.FormatSenMLJSON, "/9/0", `[{"bn":"/9/0"}]`, `/9/0 = none`, true},
	{"a send", lwm2m.FormatSenMLJSON, "/", `[{"n":"/3/0/9","v":95},{"n":"/3303/1/5700","v":21.5}]`, `/3/0/9 = 95, /3303/1/5700 = 21.5`, true},
	{"a base value", lwm2m.FormatSenMLJSON, "/", `[{"bn":"/3/0/9","bv":90,"v":5},{"bn":"/3303/0/5700","v":0.5}]`, `/3/0/9 = 95, /3303/0/5700 = 90.5`, false},
	{"a whole float for an integer", lwm2m.FormatSenMLJSON, "/3/0/9", `[{"bn":"/3/0/9","v":1e2}]`, `/3/0/9 = 100`, false},
	{"escapes", lwm2m.FormatSenMLJSON, "/3/0/0", `[{"bn":"\/3\/0\/0","vs":"\u00e9\ud83d\ude00\n\"","x":[{"y":null}]}]`, `/3/0/0 = "é😀\n\""`, false},

	{"a value in SenML CBOR", lwm2m.FormatSenMLCBOR, "/3/0/9", `81 a2 21 66 2f332f302f39 02 1864`, `/3/0/9 = 100`, true},
	{"instances of indefinite length", lwm2m.FormatSenMLCBOR, "/3/0", `9f bf 21 65 2f332f302f 00 61 30 03 7f 62 4f70 61 65 ff ff bf 00 61 39 02 f95640 ff ff`, `/3/0/0 = "Ope", /3/0/9 = 100`, false},
	{"an object link in SenML CBOR", lwm2m.FormatSenMLCBOR, "/3/0/22/0", `81 a2 21 69 2f332f302f32322f30 63 766c6f 63 393a33`, `/3/0/22/0 = 9:3`, true},
	{"bytes and booleans in SenML CBOR", lwm2m.FormatSenMLCBOR, "/5/0", `82 a3 21 65 2f352f302f 00 6130 08 42 fbff a2 00 623134 04 f5`, `/5/0/0 = 0xfbff, /5/0/14 = true`, true},
	{"a timed value in SenML CBOR", lwm2m.FormatSenMLCBOR, "/3303/0/5700", `81 a3 21 6c 2f333330332f302f35373030 22 1a65920080 02 fa41a40000`, `/3303/0/5700 = 20.5 at 2024-01-01T00:00:00Z`, true},

	{"a device in LwM2M CBOR of Anjay", lwm2m.FormatCBORTree, "/3/0", `bf 82 03 00 bf 00 65 616e6a6179 09 1864 ff ff`, `/3/0/0 = "anjay", /3/0/9 = 100`, false},
	{"maps in maps", lwm2m.FormatCBORTree, "/3", `a1 03 a1 00 a2 00 65 616e6a6179 07 a2 00 190ed8 01 191388`, `/3/0/0 = "anjay", /3/0/7/0 = 3800, /3/0/7/1 = 5000`, false},
	{"array keys", lwm2m.FormatCBORTree, "/3/0", `a1 82 03 00 a2 00 65 616e6a6179 07 a2 00 190ed8 01 191388`, `/3/0/0 = "anjay", /3/0/7/0 = 3800, /3/0/7/1 = 5000`, true},
	{"one value in LwM2M CBOR", lwm2m.FormatCBORTree, "/3/0/13", `a1 83 03 00 0d c1 1a5182428f`, `/3/0/13 = 2013-05-02T10:40:15Z`, true},
	{"several objects in LwM2M CBOR", lwm2m.FormatCBORTree, "/", `a2 83 03 00 09 185f 83 190ce7 01 191644 fa41ac0000`, `/3/0/9 = 95, /3303/1/5700 = 21.5`, true},
	{"an object link in LwM2M CBOR", lwm2m.FormatCBORTree, "/3/0/22", `a1 83 03 00 16 a1 00 63 393a33`, `/3/0/22/0 = 9:3`, false},
	{"an empty instance in LwM2M CBOR", lwm2m.FormatCBORTree, "/9/0", `a1 82 09 00 a0`, `/9/0 = none`, true},

	{"an integer in CBOR", lwm2m.FormatCBOR, "/3/0/9", `1864`, `/3/0/9 = 100`, true},
	{"a time in CBOR", lwm2m.FormatCBOR, "/3/0/13", `c1 1a5182428f`, `/3/0/13 = 2013-05-02T10:40:15Z`, true},
	{"a time in CBOR without its tag", lwm2m.FormatCBOR, "/3/0/13", `1a5182428f`, `/3/0/13 = 2013-05-02T10:40:15Z`, false},
	{"an object link in CBOR", lwm2m.FormatCBOR, "/3/0/22/0", `63 393a33`, `/3/0/22/0 = 9:3`, true},
	{"a negative number in CBOR", lwm2m.FormatCBOR, "/3/0/9", `3903e7`, `/3/0/9 = -1000`, true},

	{"text", lwm2m.FormatText, "/3/0/0", `Open Mobile Alliance`, `/3/0/0 = "Open Mobile Alliance"`, true},
	{"a number in text", lwm2m.FormatText, "/3303/0/5700", `20.5`, `/3303/0/5700 = 20.5`, true},
	{"a time in text", lwm2m.FormatText, "/3/0/13", `1367491215`, `/3/0/13 = 2013-05-02T10:40:15Z`, true},
	{"a boolean in text", lwm2m.FormatText, "/5/0/14", `1`, `/5/0/14 = true`, true},
	{"opaque bytes in text", lwm2m.FormatText, "/5/0/0", `+/8=`, `/5/0/0 = 0xfbff`, true},
	{"opaque bytes", lwm2m.FormatOpaque, "/5/0/0", `fbff`, `/5/0/0 = 0xfbff`, true},

	{"a device in the JSON of 1.0", lwm2m.FormatJSON, "/3/0", `{"bn":"/3/0/","e":[{"n":"0","sv":"Open Mobile Alliance"},{"n":"6/0","v":1},{"n":"9","v":100},{"n":"13","v":1367491215},{"n":"22/0","ov":"9:3"}]}`,
		`/3/0/0 = "Open Mobile Alliance", /3/0/6/0 = 1, /3/0/9 = 100, /3/0/13 = 2013-05-02T10:40:15Z, /3/0/22/0 = 9:3`, false},
	{"a base name at the end", lwm2m.FormatJSON, "/72", `{"e":[{"n":"1/2","v":22.4,"t":-5},{"n":"1/2","v":22.9,"t":-30}],"bn":"/72/","bt":1700000000}`,
		`/72/1/2 = 22.4 at 2023-11-14T22:13:15Z, /72/1/2 = 22.9 at 2023-11-14T22:12:50Z`, false},
	{"no base name", lwm2m.FormatJSON, "/5/0", `{"e":[{"n":"0","sv":"+/8="},{"n":"14","bv":false}]}`, `/5/0/0 = 0xfbff, /5/0/14 = false`, false},
}

// bytesOf reads a vector: the binary formats are written in hexadecimal.
func bytesOf(t testing.TB, f lwm2m.Format, s string) []byte {
	switch f {
	case lwm2m.FormatText, lwm2m.FormatJSON, lwm2m.FormatSenMLJSON:
		return []byte(s)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var decoder = Decoder{Types: device, Now: func() time.Time { return time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC) }}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			payload, base := bytesOf(t, v.format, v.payload), lwm2m.MustParsePath(v.base)
			tree, err := decoder.Decode(nil, v.format, base, payload)
			if v.want == "" {
				if err == nil {
					t.Fatalf("a cut payload is taken: %v", tree)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tree.String(), v.want); diff != "" {
				t.Error(diff)
			}
			if !v.again {
				return
			}
			again, err := Append(nil, v.format, base, tree)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(hex.EncodeToString(again), hex.EncodeToString(payload)); diff != "" {
				t.Errorf("encoded again: %s", diff)
			}
		})
	}
}

// TestCreateWithoutNumber checks that an instance whose number the device chooses is sent as its resources alone.
func TestCreateWithoutNumber(t *testing.T) {
	tree := lwm2m.Tree{{Path: lwm2m.PathOf(3, lwm2m.NoID, 9), Value: lwm2m.Integer(100)}}
	b, err := Append(nil, lwm2m.FormatTLV, lwm2m.PathOf(3), tree)
	if err != nil || hex.EncodeToString(b) != "c10964" {
		t.Errorf("%x, %v", b, err)
	}
}

func TestRefused(t *testing.T) {
	deep := func(open string) string { return strings.Repeat(open, 100) }
	for _, row := range []struct {
		name    string
		format  lwm2m.Format
		base    string
		payload string
		code    string
	}{
		{"a format that nobody knows", 9999, "/3", "", CodeFormat},
		{"a TLV cut in its head", lwm2m.FormatTLV, "/3/0", "e0", CodeMalformed},
		{"a TLV longer than the payload", lwm2m.FormatTLV, "/3/0", "d800ffffff", CodeMalformed},
		{"a TLV of a resource in one", lwm2m.FormatTLV, "/3/0", "8306 c10001", CodeMalformed},
		{"an instance in an instance", lwm2m.FormatTLV, "/3", "0300 080000", CodeMalformed},
		{"a TLV of another resource", lwm2m.FormatTLV, "/3/0/9", "c10a64", CodePath},
		{"a TLV of another instance", lwm2m.FormatTLV, "/3/0", "080103c10964", CodePath},
		{"an integer of three bytes", lwm2m.FormatTLV, "/3/0/9", "c309000064", CodeType},
		{"a boolean of two", lwm2m.FormatTLV, "/5/0/14", "c10e02", CodeType},
		{"text that is not UTF-8", lwm2m.FormatTLV, "/3/0/0", "c100ff", CodeType},
		{"an identifier that names nothing", lwm2m.FormatTLV, "/3/0", "e1ffff00", CodePath},
		{"objects in TLV", lwm2m.FormatTLV, "/", "0000", CodeMalformed},

		{"a SenML object", lwm2m.FormatSenMLJSON, "/3", `{}`, CodeMalformed},
		{"text after the pack", lwm2m.FormatSenMLJSON, "/3/0/9", `[{"n":"/3/0/9","v":1}]x`, CodeMalformed},
		{"two values", lwm2m.FormatSenMLJSON, "/3/0/9", `[{"n":"/3/0/9","v":1,"vs":"1"}]`, CodeMalformed},
		{"a value of another type", lwm2m.FormatSenMLJSON, "/3/0/9", `[{"n":"/3/0/9","vs":"1"}]`, CodeType},
		{"a half integer", lwm2m.FormatSenMLJSON, "/3/0/9", `[{"n":"/3/0/9","v":1.5}]`, CodeType},
		{"a path elsewhere", lwm2m.FormatSenMLJSON, "/3/0/9", `[{"n":"/4/0/9","v":1}]`, CodePath},
		{"a value of an object", lwm2m.FormatSenMLJSON, "/", `[{"n":"/4","v":1}]`, CodePath},
		{"a name that is no path", lwm2m.FormatSenMLJSON, "/", `[{"n":"urn:x","v":1}]`, CodePath},
		{"a base name without end", lwm2m.FormatSenMLJSON, "/", `[{"bn":"` + deep("/1") + `","v":1}]`, CodePath},
		{"a newer version", lwm2m.FormatSenMLJSON, "/3/0/9", `[{"bver":11,"n":"/3/0/9","v":1}]`, CodeMalformed},
		{"a field that must be understood", lwm2m.FormatSenMLJSON, "/3/0/9", `[{"x_":1,"n":"/3/0/9","v":1}]`, CodeMalformed},
		{"a time out of range", lwm2m.FormatSenMLJSON, "/3/0/9", `[{"t":1e300,"n":"/3/0/9","v":1}]`, CodeMalformed},
		{"nesting", lwm2m.FormatSenMLJSON, "/3/0/9", `[{"x":` + deep("[") + `}]`, CodeMalformed},
		{"no end", lwm2m.FormatSenMLJSON, "/3/0/9", `[{"n":"/3/0/9`, CodeMalformed},
		{"no comma", lwm2m.FormatSenMLJSON, "/3/0/9", `[{"n":"/3/0/9" "v":1}]`, CodeMalformed},
		{"a number that is none", lwm2m.FormatSenMLJSON, "/3/0/9", `[{"n":"/3/0/9","v":--1}]`, CodeMalformed},
		{"base64 that is none", lwm2m.FormatSenMLJSON, "/5/0/0", `[{"n":"/5/0/0","vd":"!"}]`, CodeMalformed},
		{"too many records", lwm2m.FormatSenMLJSON, "/3/0/9", `[` + strings.Repeat(`{"n":"/3/0/9","v":1},`, MaxRecords) + `{"n":"/3/0/9","v":1}]`, CodeTooLarge},

		{"a count beyond the payload", lwm2m.FormatSenMLCBOR, "/3", "9bffffffffffffffff", CodeMalformed},
		{"a text beyond the payload", lwm2m.FormatSenMLCBOR, "/3", "81a1217bffffffffffffffff", CodeMalformed},
		{"nesting in CBOR", lwm2m.FormatSenMLCBOR, "/3", "81a118ff" + deep("81") + "00", CodeMalformed},
		{"tags without end", lwm2m.FormatSenMLCBOR, "/3", "81a118ff" + deep("c1") + "00", CodeMalformed},
		{"an array without end", lwm2m.FormatSenMLCBOR, "/3", "9f", CodeMalformed},
		{"an end of nothing", lwm2m.FormatSenMLCBOR, "/3", "81a118ffff", CodeMalformed},
		{"a string under v", lwm2m.FormatSenMLCBOR, "/3/0/9", "81a2 00 66 2f332f302f39 02 6131", CodeMalformed},
		{"bytes after the pack", lwm2m.FormatSenMLCBOR, "/3/0/9", "81a2 00 66 2f332f302f39 02 01 00", CodeMalformed},

		{"five levels", lwm2m.FormatCBORTree, "/", "a1 85 01 01 01 01 01 00", CodeMalformed},
		{"an empty key", lwm2m.FormatCBORTree, "/", "a1 80 00", CodeMalformed},
		{"a key of text", lwm2m.FormatCBORTree, "/", "a1 61 30 00", CodeMalformed},
		{"a key beyond the identifiers", lwm2m.FormatCBORTree, "/", "a1 19ffff 00", CodeMalformed},
		{"a value of an instance", lwm2m.FormatCBORTree, "/", "a1 82 03 00 05", CodePath},
		{"an array as value", lwm2m.FormatCBORTree, "/", "a1 83 03 00 09 80", CodeMalformed},

		{"nothing in CBOR", lwm2m.FormatCBOR, "/3/0/9", "", CodeMalformed},
		{"a date as text", lwm2m.FormatCBOR, "/3/0/13", "c0 61 30", CodeMalformed},
		{"tags on tags", lwm2m.FormatCBOR, "/3/0/13", "c1 c1 00", CodeMalformed},
		{"text that is no number", lwm2m.FormatText, "/3/0/9", "x", CodeType},
		{"a value of an instance in text", lwm2m.FormatText, "/3/0", "x", CodePath},
		{"an array as JSON of 1.0", lwm2m.FormatJSON, "/3", "[]", CodeMalformed},
	} {
		t.Run(row.name, func(t *testing.T) {
			tree, err := decoder.Decode(nil, row.format, lwm2m.MustParsePath(row.base), bytesOf(t, row.format, row.payload))
			var e *Error
			if !errors.As(err, &e) || e.Code != row.code {
				t.Errorf("%v, %v; want %s", tree, err, row.code)
			}
		})
	}
}

func TestCannotEncode(t *testing.T) {
	at := lwm2m.PathOf(3, 0, 9)
	now := time.Unix(1700000000, 0)
	for _, row := range []struct {
		name   string
		format lwm2m.Format
		base   string
		tree   lwm2m.Tree
	}{
		{"two values as text", lwm2m.FormatText, "/3/0", lwm2m.Tree{{Path: at, Value: lwm2m.Integer(1)}, {Path: at, Value: lwm2m.Integer(1)}}},
		{"a number as opaque", lwm2m.FormatOpaque, "/3/0/9", lwm2m.Tree{{Path: at, Value: lwm2m.Integer(1)}}},
		{"another path", lwm2m.FormatSenMLCBOR, "/4", lwm2m.Tree{{Path: at, Value: lwm2m.Integer(1)}}},
		{"out of order", lwm2m.FormatSenMLCBOR, "/3", lwm2m.Tree{{Path: at, Value: lwm2m.Integer(1)}, {Path: lwm2m.PathOf(3, 0, 0), Value: lwm2m.Integer(1)}}},
		{"a value of an instance", lwm2m.FormatSenMLCBOR, "/3", lwm2m.Tree{{Path: lwm2m.PathOf(3, 0), Value: lwm2m.Integer(1)}}},
		{"infinity in JSON", lwm2m.FormatSenMLJSON, "/3", lwm2m.Tree{{Path: at, Value: lwm2m.Float(math.Inf(1))}}},
		{"an old time", lwm2m.FormatSenMLJSON, "/3", lwm2m.Tree{{Path: at, Value: lwm2m.Integer(1), Time: time.Unix(1000, 0)}}},
		{"times in LwM2M CBOR", lwm2m.FormatCBORTree, "/3", lwm2m.Tree{{Path: at, Value: lwm2m.Integer(1), Time: now}}},
		{"an instance without a number", lwm2m.FormatCBORTree, "/3", lwm2m.Tree{{Path: lwm2m.PathOf(3, lwm2m.NoID, 9), Value: lwm2m.Integer(1)}}},
		{"objects in TLV", lwm2m.FormatTLV, "/", lwm2m.Tree{{Path: at, Value: lwm2m.Integer(1)}}},
		{"the JSON of 1.0", lwm2m.FormatJSON, "/3", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			if b, err := Append(nil, row.format, lwm2m.MustParsePath(row.base), row.tree); err == nil {
				t.Errorf("%q", b)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	paths := []lwm2m.Path{lwm2m.PathOf(1, 0, 1), lwm2m.PathOf(3), lwm2m.PathOf(3303, 0)}
	for _, f := range []lwm2m.Format{lwm2m.FormatSenMLJSON, lwm2m.FormatSenMLCBOR, lwm2m.FormatCBORTree} {
		b, err := AppendPaths(nil, f, paths)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodePaths(f, b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, paths, cmp.AllowUnexported(lwm2m.Path{})); diff != "" {
			t.Errorf("%v: %s", f, diff)
		}
	}
	got, err := DecodePaths(lwm2m.FormatSenMLEtcJSON, []byte(`[{"bn":"/3/0/"},{"n":"0"},{"n":"9"},{"bn":"/4"},{"bn":"/"}]`))
	if err != nil || len(got) != 3 || got[1] != lwm2m.PathOf(3, 0, 9) || got[2] != lwm2m.PathOf(4) {
		t.Errorf("%v, %v", got, err)
	}
	for _, refused := range []string{`[{"n":"/3/0/0","v":1}]`, `[{"n":"x"}]`, `[` + strings.Repeat(`{"n":"/3"},`, MaxPaths) + `{"n":"/3"}]`, `{}`} {
		if got, err := DecodePaths(lwm2m.FormatSenMLJSON, []byte(refused)); err == nil {
			t.Errorf("%.40q is %v", refused, got)
		}
	}
	if _, err := DecodePaths(lwm2m.FormatTLV, nil); err == nil {
		t.Error("TLV lists no paths")
	}
	if _, err := AppendPaths(nil, lwm2m.FormatCBORTree, []lwm2m.Path{lwm2m.PathOf(3), lwm2m.PathOf(3, 0)}); err == nil {
		t.Error("a path below another one stands in a tree")
	}
}

// oracle is a record of SenML for fxamacker/cbor (RFC 8428 §6).
type oracle struct {
	BaseName *string  `cbor:"-2,keyasint,omitempty"`
	Name     *string  `cbor:"0,keyasint,omitempty"`
	Value    *float64 `cbor:"2,keyasint,omitempty"`
	String   *string  `cbor:"3,keyasint,omitempty"`
	Boolean  *bool    `cbor:"4,keyasint,omitempty"`
	Data     []byte   `cbor:"8,keyasint,omitempty"`
	Time     *float64 `cbor:"6,keyasint,omitempty"`
	BaseTime *float64 `cbor:"-3,keyasint,omitempty"`
}

// TestAgainstFxamacker reads with another library what is written here, and the other way round.
func TestAgainstFxamacker(t *testing.T) {
	tree, err := Decode(lwm2m.FormatSenMLJSON, lwm2m.PathOf(3, 0), []byte(vectorNamed("a device in SenML JSON")), device)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := Append(nil, lwm2m.FormatSenMLCBOR, lwm2m.PathOf(3, 0), tree)
	if err != nil {
		t.Fatal(err)
	}
	var records []oracle
	if err := cbor.Unmarshal(ours, &records); err != nil {
		t.Fatal(err)
	}
	if len(records) != len(tree) || *records[0].BaseName != "/3/0/" || *records[1].String != "Lightweight M2M Client" || *records[10].Value != 100 {
		t.Errorf("it reads %+v", records)
	}
	theirs, err := cbor.Marshal(records)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(lwm2m.FormatSenMLCBOR, lwm2m.PathOf(3, 0), theirs, device)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(again.String(), tree.String()); diff != "" {
		t.Error(diff)
	}
}

func vectorNamed(name string) string {
	for _, v := range vectors {
		if v.name == name {
			return v.payload
		}
	}
	return ""
}

// TestFloatsOfCBOR holds the numbers against fxamacker's.
func TestFloatsOfCBOR(t *testing.T) {
	half, err := cbor.EncOptions{ShortestFloat: cbor.ShortestFloat16}.EncMode()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []float64{0, math.Copysign(0, -1), 1, -1.5, 65504, 5.960464477539063e-8, 1e-5, 0.1, math.Inf(1), math.Inf(-1), 1e300, 3.4e38} {
		b, err := half.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		r := cborReader{b: b}
		if got := r.value(); got != lwm2m.Float(f) || r.problem != "" {
			t.Errorf("%x is %v (%s), want %v", b, got, r.problem, f)
		}
		var back float64
		if err := cbor.Unmarshal(appendCBORFloat(nil, f), &back); err != nil || back != f {
			t.Errorf("%v comes back as %v, %v", f, back, err)
		}
	}
}

func TestNothingIsAllocatedWithoutNeed(t *testing.T) {
	payload := bytesOf(t, lwm2m.FormatTLV, "080003C10964")
	cborPayload := bytesOf(t, lwm2m.FormatSenMLCBOR, "81a22 1662f332f302f39 021864")
	treePayload := bytesOf(t, lwm2m.FormatCBORTree, "a183030009 1864")
	tree := make(lwm2m.Tree, 0, 8)
	buffer := make([]byte, 0, 256)
	base := lwm2m.PathOf(3, 0)
	for _, f := range []struct {
		format  lwm2m.Format
		payload []byte
	}{{lwm2m.FormatTLV, payload}, {lwm2m.FormatSenMLCBOR, cborPayload}, {lwm2m.FormatCBORTree, treePayload}} {
		allocs := testing.AllocsPerRun(100, func() {
			got, err := decoder.Decode(tree, f.format, base, f.payload)
			if err != nil || len(got) != 1 {
				t.Fatal(got, err)
			}
			if _, err = Append(buffer, f.format, base, got); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 0 {
			t.Errorf("%v: %v allocations", f.format, allocs)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	tree, err := Decode(lwm2m.FormatSenMLJSON, lwm2m.PathOf(3, 0), []byte(vectorNamed("a device in SenML JSON")), device)
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range []lwm2m.Format{lwm2m.FormatTLV, lwm2m.FormatSenMLCBOR, lwm2m.FormatCBORTree, lwm2m.FormatSenMLJSON} {
		payload, err := Append(nil, f, lwm2m.PathOf(3, 0), tree)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(f.String(), func(b *testing.B) {
			into := make(lwm2m.Tree, 0, 64)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decoder.Decode(into, f, lwm2m.PathOf(3, 0), payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	payload, err := Append(nil, lwm2m.FormatSenMLCBOR, lwm2m.PathOf(3, 0), tree)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("fxamacker's SenML CBOR", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var records []oracle
			if err := cbor.Unmarshal(payload, &records); err != nil {
				b.Fatal(err)
			}
		}
	})
}

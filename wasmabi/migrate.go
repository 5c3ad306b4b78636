package wasmabi

// Migrate is the request of [OpMigrate]: cold. The response is the new context, raw bytes.
type Migrate struct {
	FromSchema uint32 // layout of Context
	Context    []byte
}

// AppendMigrate appends the encoded m to dst.
func AppendMigrate(dst []byte, m *Migrate) []byte {
	f := openFields(dst)
	f.bytes("context", m.Context)
	f.uint("from_schema", uint64(m.FromSchema))
	return f.close()
}

// DecodeMigrate decodes b into m. The context of m aliases b.
func DecodeMigrate(b []byte, m *Migrate) error {
	*m = Migrate{}
	r := reader{b: b, message: "migrate", alias: true}
	for k := r.keys(); k.next(); {
		switch k.key {
		case "context":
			m.Context = r.bytes(MaxContext)
		case "from_schema":
			m.FromSchema = r.uint32()
		default:
			r.skip(0)
		}
	}
	return r.finish()
}

package state

import (
	"fmt"
	"os"
	"testing"
)

func TestAuditRotatesAndVerifies(t *testing.T) {
	d := open(t, t.TempDir(), Options{AuditMax: 10, AuditFiles: 3})
	defer d.Close()
	ctx := t.Context()
	for n := range 57 {
		must(t, d.Audit(ctx, Entry{Actor: "ann", Action: "policy.upload", Subject: fmt.Sprint(n)}))
		must(t, d.Flush(ctx))
	}
	files, err := d.auditFiles()
	must(t, err)
	if n := d.auditRows.Load(); len(files) != 3 || n > 10 {
		t.Errorf("%d files, %d rows", len(files), n)
	}
	checked, err := d.VerifyAudit(ctx)
	if err != nil || checked != 22 {
		t.Errorf("checked %d: %v", checked, err)
	}
	es, err := d.AuditTrail(ctx, 0, 2)
	if err != nil || es[0].Seq != 57 || es[1].Subject != "55" || es[0].Before != es[1].Hash {
		t.Errorf("%+v, %v", es, err)
	}
	t.Run("a changed file is found", func(t *testing.T) {
		b, err := os.ReadFile(files[1])
		must(t, err)
		b[len(b)/2] ^= 1
		must(t, os.WriteFile(files[1], b, 0o600))
		if _, err := d.VerifyAudit(ctx); code(err) != "audit.broken" {
			t.Errorf("got %v", err)
		}
		b[len(b)/2] ^= 1
		must(t, os.WriteFile(files[1], b, 0o600))
	})
	for name, tamper := range map[string]string{
		"a changed entry is found":       `UPDATE audit SET entry = replace(entry, 'ann', 'bob') WHERE seq = 55`,
		"a changed hash is found":        `UPDATE audit SET hash = 'x' WHERE seq = 55`,
		"an entry taken out is found":    `DELETE FROM audit WHERE seq = 55`,
		"the oldest taken out are found": `DELETE FROM audit WHERE seq < 55`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := d.write.Exec("CREATE TEMP TABLE kept AS SELECT * FROM audit; " + tamper)
			must(t, err)
			if _, err := d.VerifyAudit(ctx); code(err) != "audit.broken" {
				t.Errorf("got %v", err)
			}
			_, err = d.write.Exec("DELETE FROM audit; INSERT INTO audit SELECT * FROM kept; DROP TABLE kept")
			must(t, err)
		})
	}
	_, err = d.VerifyAudit(ctx)
	must(t, err)
}

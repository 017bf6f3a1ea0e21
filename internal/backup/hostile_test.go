package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/store"
)

func zipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, text)
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const (
	dumpHead = `{"cullet":"backup","format":1,"schema":3}` + "\n"
	digestA  = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	pathA    = "aa/" + digestA + "-000000000000000000000000"
	blobHead = `{"table":"blobs","columns":[{"name":"digest","kind":"text"},{"name":"bytes","kind":"int"},{"name":"path","kind":"text"}]}` + "\n"
	flags    = `{"table":"projects","columns":[{"name":"id","kind":"text"},{"name":"multilabel","kind":"bool"},{"name":"share","kind":"float"}]}` + "\n"
)

// dumps are texts that a reader meets, and what it must say; "": it takes them.
var dumps = []struct{ text, want string }{
	{dumpHead + blobHead + `["` + digestA + `",17,"` + pathA + `"]` + "\n" + `{"end":"blobs","rows":1}` + "\n" + `{"end":"backup","rows":1}` + "\n", ""},
	{dumpHead + flags + `["a",true,1e300]` + "\n" + `["b",null,null]` + "\n" + `[{"base64":"/w=="},false,-0.5]` + "\n" + `{"end":"projects","rows":3}` + "\n" + `{"end":"backup","rows":3}` + "\n", ""},
	{dumpHead + `{"end":"backup"}` + "\n", ""},
	{"", "cut off"},
	{"hello\n", "neither as a row"},
	{`{"cullet":"backup","format":2,"schema":3}` + "\n", "no dump of format 1"},
	{dumpHead, "line 2 of the database's dump: the dump is cut off"},
	{dumpHead + `{"end":"backup"}`, "cut off"},
	{dumpHead + `{"end":"backup"}` + "\nmore\n", "follows the last line"},
	{dumpHead + `{"end":"backup","rows":4}` + "\n", "there are 0 rows"},
	{dumpHead + `{"table":"river_job","columns":[{"name":"id","kind":"text"}]}` + "\n", `no table "river_job"`},
	{dumpHead + `{"table":"secrets","columns":[{"name":"name","kind":"text"}]}` + "\n", `no table "secrets"`},
	{dumpHead + `{"table":"blobs; DROP TABLE blobs","columns":[{"name":"id","kind":"text"}]}` + "\n", "no table"},
	{dumpHead + `{"table":"projects"}` + "\n", "has no columns"},
	{dumpHead + `{"table":"projects","columns":[{"name":"id","kind":"blob"}]}` + "\n", `unknown type "blob"`},
	{dumpHead + `{"table":"blobs","columns":[{"name":"path","kind":"int"}]}` + "\n", "lacks the columns"},
	{dumpHead + `["a"]` + "\n", "neither as a row"},
	{dumpHead + flags + `[null,true,1]` + "\n", "projects lacks its id"},
	{dumpHead + flags + `["a",true]` + "\n", "too few values: 2 instead of 3"},
	{dumpHead + flags + `["a",true,1,2]` + "\n", "more values than the 3"},
	{dumpHead + flags + `["a",true,1]x` + "\n", "something follows a row"},
	{dumpHead + flags + `["a",1,1]` + "\n", "projects.multilabel is not of the type bool"},
	{dumpHead + flags + `[5,true,1]` + "\n", "projects.id is not of the type text"},
	{dumpHead + flags + `[{"base64":"%"},true,1]` + "\n", "no base64"},
	{dumpHead + flags + `[{"base64":"","b":1},true,1]` + "\n", "not one of base64"},
	{dumpHead + flags + `[["a"],true,1]` + "\n", "projects.id is not of the type text"},
	{dumpHead + flags + `["a",true,"NaN"]` + "\n", "projects.share is not of the type float"},
	{dumpHead + flags + `["a",true,1e999]` + "\n", "projects.share is not of the type float"},
	{dumpHead + flags + strings.Repeat("[", 1500) + "\n", "not of the type"},
	{dumpHead + flags + `["` + strings.Repeat("x", 3000) + `",true,1]` + "\n", "longer than 2000 bytes"},
	{dumpHead + strings.Repeat(" ", maxControl) + "\n", "longer than 65536 bytes"},
	{dumpHead + flags + `{"end":"projects","rows":1}` + "\n", "its last line says otherwise"},
	{dumpHead + flags + `{"end":"images"}` + "\n", "its last line says otherwise"},
	{dumpHead + flags + `{"end":"projects"}` + "\n" + flags, "the table projects is there twice"},
	{dumpHead + blobHead + `["` + digestA + `",9223372036854775808,"` + pathA + `"]` + "\n", "blobs.bytes is not of the type int"},
	{dumpHead + blobHead + `["` + digestA + `",1.5,"` + pathA + `"]` + "\n", "blobs.bytes is not of the type int"},
	{dumpHead + blobHead + `["` + digestA + `",-1,"` + pathA + `"]` + "\n", "lacks its path"},
	{dumpHead + blobHead + `["` + digestA + `",1,null]` + "\n", "lacks its path"},
	{dumpHead + blobHead + `["` + digestA + `",1,"../../etc/passwd"]` + "\n", `"../../etc/passwd" cannot be one of ours`},
	{dumpHead + blobHead + `["` + digestA + `",1,"/etc/passwd"]` + "\n", "cannot be one of ours"},
	{dumpHead + blobHead + `["` + digestA + `",1,"aa/../` + pathA + `"]` + "\n", "cannot be one of ours"},
	{dumpHead + blobHead + `["` + digestA + `",1,"` + pathA + `\u0000"]` + "\n", "cannot be one of ours"},
	{dumpHead + blobHead + `["` + strings.Repeat("b", 64) + `",1,"` + pathA + `"]` + "\n", "cannot be one of ours"},
	{dumpHead + blobHead + `["` + digestA + `",1,"` + pathA + `"]` + "\n" + `["` + digestA + `",1,"` + pathA + `"]` + "\n", "is there twice, or out of order"},
}

// look is a visitor that holds what it is told against what a reader promises.
func look(t testing.TB) visitor {
	return visitor{most: 2000, table: func(table store.Table) (func([]any) error, error) {
		if !slices.Contains(store.Dumped(), table.Name) {
			t.Errorf("the table %q is read", table.Name)
		}
		row := func([]any) error { return nil }
		if table.Name == "blobs" {
			var err error
			row, err = eachFile(table, func(i file) error {
				if strings.Contains(i.path, "..") || blob.CheckPath(i.path, i.digest) != nil || i.bytes < 0 {
					t.Errorf("the file %+v is read", i)
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
		return func(values []any) error {
			for n, c := range table.Columns {
				ok := values[n] == nil
				switch values[n].(type) {
				case string:
					ok = c.Kind == store.ColumnText
				case int64:
					ok = c.Kind == store.ColumnInt
				case bool:
					ok = c.Kind == store.ColumnBool
				case float64:
					ok = c.Kind == store.ColumnFloat
				}
				if !ok {
					t.Errorf("%s.%s is read as %#v", table.Name, c.Name, values[n])
				}
			}
			return row(values)
		}, nil
	}}
}

// TestHostileDumps are refused in words that name the line and the thing.
func TestHostileDumps(t *testing.T) {
	t.Parallel()
	for _, d := range dumps {
		_, err := readDump(bytes.NewReader(zipped(t, d.text)), look(t))
		if d.want == "" && err != nil || d.want != "" && (cullet.CodeOf(err) != cullet.Invalid || !strings.Contains(err.Error(), d.want)) {
			t.Errorf("%.200q: %v, want %q", d.text, err, d.want)
		}
	}
	whole := zipped(t, dumps[0].text)
	for n := range whole { // cut off anywhere, changed anywhere
		if _, err := readDump(bytes.NewReader(whole[:n]), look(t)); cullet.CodeOf(err) != cullet.Invalid {
			t.Errorf("cut off at %d of %d: %v", n, len(whole), err)
		}
	}
	for n := 10; n < len(whole); n++ { // behind the head, which holds a time nobody reads
		changed := slices.Clone(whole)
		changed[n] ^= 1
		if _, err := readDump(bytes.NewReader(changed), look(t)); cullet.CodeOf(err) != cullet.Invalid {
			t.Errorf("changed at %d of %d: %v", n, len(whole), err)
		}
	}
}

// FuzzRestoreDump reads what nobody wrote: no panic, nothing taken that is not of the
// right form, and every refusal in words.
func FuzzRestoreDump(f *testing.F) {
	for _, d := range dumps {
		f.Add([]byte(d.text), false)
		f.Add(zipped(f, d.text), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, packed bool) {
		var err error
		if packed {
			_, err = readDump(bytes.NewReader(b), look(t))
		} else {
			_, err = readLines(bytes.NewReader(b), look(t))
		}
		if err != nil && (cullet.CodeOf(err) != cullet.Invalid || cullet.MessageOf(err) == "") {
			t.Errorf("refused as %v (%s), want invalid", err, cullet.CodeOf(err))
		}
	})
}

// FuzzRestoreManifest reads manifests that nobody wrote.
func FuzzRestoreManifest(f *testing.F) {
	sealed, err := Manifest{Format: format, Schema: 1, Tables: map[string]int64{"images": 3}}.seal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add([]byte("{}"))
	f.Add([]byte(`{"format":1,"schema":1,"tables":null,"manifest_sha256":""}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readManifest(bytes.NewReader(b))
		if err == nil && (m.Format != format || m.Schema < 1 || m.Schema > store.LatestSchema()) {
			t.Errorf("%+v is taken", m)
		}
		if err != nil && cullet.CodeOf(err) != cullet.Invalid {
			t.Errorf("refused as %v, want invalid", err)
		}
	})
}

// forge changes the dump of a folder's snapshot, and has its manifest agree to it.
func forge(t *testing.T, f Folder, name string, change func(text string) string) {
	t.Helper()
	path := filepath.Join(f.snapshots(), name, dumpName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	changed := change(string(text))
	if changed == string(text) {
		t.Fatalf("nothing was changed in\n%s", text)
	}
	packed := zipped(t, changed)
	m, err := os.ReadFile(filepath.Join(f.snapshots(), name, manifestName))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := readManifest(bytes.NewReader(m))
	if err != nil {
		t.Fatal(err)
	}
	manifest.DumpBytes, manifest.DumpDigest = int64(len(packed)), digestOfBytes(packed)
	sealed, err := manifest.seal()
	if err := errors.Join(err, os.WriteFile(path, packed, 0o600), os.WriteFile(filepath.Join(f.snapshots(), name, manifestName), sealed, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func digestOfBytes(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestForgedDumps have everything right but one thing, which the database itself or
// the look at its schema finds: nothing of them is kept.
func TestForgedDumps(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		p := w.Project(t, "Belt")
		w.Image(t, p.ID, 0)
		into := cullettest.NewDatabase(t, d.Name).Open(t, w.Clock)
		for _, c := range []struct{ was, is, want string }{
			{`{"name":"slug","kind":"text"},`, `{"name":"slag","kind":"text"},`, "other columns"},
			{`"multilabel","kind":"bool"`, `"multilabel","kind":"text"`, "not of the type text"},
			{`"` + p.ID + `","` + w.Workspace.ID + `"`, `"p_other","` + w.Workspace.ID + `"`, "refuses rows of the table"}, // others refer to it
			{`["` + w.Workspace.ID + `","acme"`, `[null,"acme"`, "workspaces lacks its id"},
		} {
			f := newFolder(t, w.Clock)
			r, err := source(w).ToFolder(ctx, f, 0)
			if err != nil {
				t.Fatal(err)
			}
			forge(t, f, r.Where, func(text string) string { return strings.Replace(text, c.was, c.is, 1) })
			s, err := f.Open("")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Check(ctx); err == nil {
				err = s.Fill(ctx, into, "")
				if cullet.CodeOf(err) != cullet.Invalid || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: %v, want %q", c.is, err, c.want)
				}
			} else if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", c.is, err, c.want)
			}
			for table, rows := range rows(t, into) {
				if len(rows) != 0 {
					t.Errorf("%s: %d rows of %s are kept", c.is, len(rows), table)
				}
			}
		}
	})
}

// TestDamagedFiles: a file of a backup that is missing, cut off or changed is named.
func TestDamagedFiles(t *testing.T) {
	w := cullettest.NewWorld(t, "sqlite")
	p := w.Project(t, "Belt")
	w.Image(t, p.ID, 0)
	f := newFolder(t, w.Clock)
	r, err := source(w).ToFolder(ctx, f, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := view(t, w.DB, func(tx *store.Tx) ([]cullet.Blob, error) { return tx.ListBlobs(ctx, "", 1) })[0]
	text := contents(t, w.DB, w.Blobs)[b.Path]
	s, err := f.Open(r.Where)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Blobs.Remove(ctx, b.Path); err != nil {
		t.Fatal(err)
	}
	missing := s.Files(ctx, w.Blobs)
	// A folder in which somebody wrote: its driver is asked for bytes that it did not put.
	for _, c := range []struct{ what, bytes, want string }{
		{"changed", strings.Replace(text, "I", "J", 1), "is damaged in the backup"},
		{"cut off", text[:len(text)-1], "bytes in the backup instead of"},
		{"longer", text + "x", "bytes in the backup instead of"},
	} {
		err := take(ctx, file{b.Path, b.Digest, b.Bytes}, int64(len(c.bytes)), strings.NewReader(c.bytes), w.Blobs)
		if cullet.CodeOf(err) != cullet.Invalid || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), b.Path) {
			t.Errorf("%s: %v, want %q and the path", c.what, err, c.want)
		}
	}
	if cullet.CodeOf(missing) != cullet.Invalid || !strings.Contains(missing.Error(), b.Path+" is missing") {
		t.Errorf("missing: %v", missing)
	}
	w.Check(t)
}

// TestDamagedServer: a backup that could not be restored is not made.
func TestDamagedServer(t *testing.T) {
	w := cullettest.NewWorld(t, "sqlite")
	update(t, w.DB, func(tx *store.Tx) error {
		_, err := tx.AddBlob(ctx, cullet.Blob{ID: "b_1", Digest: digestA, Bytes: 3, Path: pathA, CreatedAt: tx.Now})
		return err
	})
	lying := source(w)
	lying.Blobs = blob.New(liar{}, w.Clock)
	file := filepath.Join(t.TempDir(), "b.tar")
	_, err1 := lying.ToFolder(ctx, newFolder(t, w.Clock), 0)
	_, err2 := lying.ToFile(ctx, file)
	for _, err := range []error{err1, err2} {
		if cullet.CodeOf(err) != cullet.Conflict || !strings.Contains(err.Error(), pathA+" is damaged") {
			t.Errorf("bytes that are other ones: %v", err)
		}
	}
	if left, _ := filepath.Glob(file + "*"); len(left) != 0 {
		t.Errorf("it left %v", left)
	}
}

// liar is a driver whose every object has the same three bytes.
type liar struct{ blob.Driver }

func (liar) Open(context.Context, string) (io.ReadSeekCloser, int64, error) {
	return three{strings.NewReader("two")}, 3, nil
}

type three struct{ *strings.Reader }

func (three) Close() error { return nil }

// TestDamagedTar: a file that is cut off anywhere, or in which something is renamed,
// is refused in words.
func TestDamagedTar(t *testing.T) {
	w := cullettest.NewWorld(t, "sqlite")
	p := w.Project(t, "Belt")
	w.Image(t, p.ID, 0)
	path := filepath.Join(t.TempDir(), "b.tar")
	if _, err := source(w).ToFile(ctx, path); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(b []byte) error {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := OpenFile(path)
		if err != nil {
			return err
		}
		defer s.Close()
		if err := s.Check(ctx); err != nil {
			return err
		}
		return s.Files(ctx, cullettest.NewWorld(t, "sqlite").Blobs)
	}
	if err := try(whole); err != nil {
		t.Fatal(err)
	}
	// The two empty blocks at its end say nothing.
	for n := 0; n < len(whole)-3*512; n += 509 {
		if err := try(whole[:n]); cullet.CodeOf(err) != cullet.Invalid {
			t.Errorf("cut off at %d of %d: %v", n, len(whole), err)
		}
	}
	for what, change := range map[string]func(h *tar.Header, b []byte) []byte{
		"is damaged in the backup": func(h *tar.Header, b []byte) []byte {
			if strings.HasPrefix(h.Name, inTar) {
				b[0] ^= 1
			}
			return b
		},
		"missing in": func(h *tar.Header, b []byte) []byte {
			if strings.HasPrefix(h.Name, inTar) {
				h.Name = inTar + "../../../etc/passwd"
			}
			return b
		},
		"not at its place": func(h *tar.Header, b []byte) []byte {
			if strings.HasPrefix(h.Name, inTar) {
				h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, "/etc/passwd", 0
				return nil
			}
			return b
		},
		"does not begin with": func(h *tar.Header, b []byte) []byte {
			if h.Name == dumpName {
				h.Name = "x"
			}
			return b
		},
	} {
		if err := try(remade(t, whole, change)); cullet.CodeOf(err) != cullet.Invalid || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %q", err, what)
		}
	}
}

// remade writes a tar again with changes.
func remade(t *testing.T, whole []byte, change func(*tar.Header, []byte) []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	r, w := tar.NewReader(bytes.NewReader(whole)), tar.NewWriter(&out)
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		b = change(h, b)
		h.Format = tar.FormatUnknown
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

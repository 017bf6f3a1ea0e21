package sdk_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/cullet-vision/cullet/sdk"
)

// forbidden are words that no exported name has, and no address that is asked for:
// P2, no SDK method can purge.
var forbidden = []string{"purge", "empty", "permanent", "immediate", "destroy", "erase", "wipe", "shred"}

func allowed(t *testing.T, what, name string) {
	t.Helper()
	for _, w := range forbidden {
		if strings.Contains(strings.ToLower(name), w) {
			t.Errorf("%s %s: nothing in this package may delete for good (P2)", what, name)
		}
	}
}

// What a caller holds, by reflection: every method and field that can be reached.
func TestP2NoMethodDeletesForGood(t *testing.T) {
	t.Parallel()
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		if seen[typ] {
			return
		}
		seen[typ] = true
		ours := strings.HasSuffix(typ.PkgPath(), "/cullet/sdk")
		if ours || typ.Kind() == reflect.Pointer {
			for n := range typ.NumMethod() {
				m := typ.Method(n)
				if ours || strings.HasSuffix(typ.Elem().PkgPath(), "/cullet/sdk") {
					allowed(t, typ.String()+" method", m.Name)
				}
				for o := range m.Type.NumOut() {
					walk(m.Type.Out(o))
				}
				for i := range m.Type.NumIn() {
					walk(m.Type.In(i))
				}
			}
		}
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			if e := typ.Elem(); strings.HasSuffix(e.PkgPath(), "/cullet/sdk") {
				walk(e)
				walk(reflect.PointerTo(e))
			}
		case reflect.Struct:
			for n := range typ.NumField() {
				if f := typ.Field(n); ours && f.IsExported() {
					allowed(t, typ.String()+" field", f.Name)
					walk(f.Type)
				}
			}
		}
	}
	walk(reflect.TypeFor[*sdk.Client]())
	for _, want := range []reflect.Type{reflect.TypeFor[*sdk.Workspace](), reflect.TypeFor[*sdk.Project](), reflect.TypeFor[*sdk.Version](),
		reflect.TypeFor[*sdk.Workflow](), reflect.TypeFor[*sdk.Trash](), reflect.TypeFor[sdk.TrashItem](), reflect.TypeFor[sdk.Restore]()} {
		if !seen[want] {
			t.Errorf("%s was not looked at", want)
		}
	}
}

// What the source declares: reflection sees no functions and variables.
func TestP2NoNameAndNoAddressDeletesForGood(t *testing.T) {
	t.Parallel()
	names := 0
	each(t, func(file string, f *ast.File) {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				if ast.IsExported(n.Name) {
					names++
					if n.Name != "BeingPurged" || file != "trash.go" { // of the wire, in an unexported struct
						allowed(t, file, n.Name)
					}
				}
			case *ast.BasicLit:
				s, err := strconv.Unquote(n.Value)
				if n.Kind == token.STRING && err == nil && s != "being permanently deleted" { // said by a server
					allowed(t, file, strconv.Quote(s))
				}
			}
			return true
		})
	})
	if names < 100 {
		t.Errorf("looked at %d names only", names)
	}
}

// The package stands on the standard library alone, so that importing it brings
// nothing else along.
func TestStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	each(t, func(file string, f *ast.File) {
		for _, i := range f.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if first, _, _ := strings.Cut(path, "/"); err != nil || strings.Contains(first, ".") {
				t.Errorf("%s imports %s", file, path)
			}
		}
	})
}

// each calls f with every source file of the package.
func each(t *testing.T, f func(name string, file *ast.File)) {
	t.Helper()
	names, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("no source: %v", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		f(name, file)
	}
}

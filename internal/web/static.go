package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/cullet-vision/cullet/internal/reqid"
)

//go:embed templates/*.html static
var files embed.FS

// asset is one static file, under an address that changes with its bytes.
type asset struct {
	bytes []byte
	typ   string
	hash  string
}

var assets = func() map[string]asset {
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8"}
	all := map[string]asset{}
	entries, err := files.ReadDir("static")
	if err != nil {
		panic(err) // embedded: a bug of the build
	}
	for _, e := range entries {
		b, err := fs.ReadFile(files, "static/"+e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(b)
		all[e.Name()] = asset{b, types[e.Name()[strings.LastIndex(e.Name(), "."):]], hex.EncodeToString(sum[:6])}
	}
	return all
}()

// static is the address of a static file.
func static(name string) string { return "/app/-/static/" + name + "?v=" + assets[name].hash }

// staticFiles is the route of all of them.
const staticFiles = "/app/-/static/{file}"

func serveStatic(w http.ResponseWriter, r *http.Request) {
	reqid.SetRoute(r.Context(), staticFiles)
	a, ok := assets[chi.URLParam(r, "file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", a.typ)
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	w.Header().Set("ETag", `"`+a.hash+`"`)
	w.Header().Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == a.hash {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.bytes))
}

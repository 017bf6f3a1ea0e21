package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
)

// The kinds of file that a link leads to.
const (
	imageFile  = "image"
	thumbFile  = "thumb"
	exportFile = "export"
)

// linkDay is what a link's end is rounded up to, after a day at least: the same
// link is handed out all day long, so that it can be compared and cached.
const linkDay = 24 * time.Hour

// link makes a link to a file that anybody can follow who has it, for a day or
// two, as long as the thing is active (D3).
func (s *Server) link(r *http.Request, kind, id string) string {
	ends := s.now().Add(2*linkDay - 1).Truncate(linkDay).Unix()
	q := url.Values{"expires": {strconv.FormatInt(ends, 10)}, "signature": {s.sign(kind, id, ends)}}
	return s.base(r) + "/-/files/" + kind + "/" + id + "?" + q.Encode()
}

// base is how this server is reached from outside.
func (s *Server) base(r *http.Request) string {
	switch {
	case s.PublicURL != "":
		return s.PublicURL
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func (s *Server) sign(kind, id string, ends int64) string {
	mac := hmac.New(sha256.New, s.LinkKey)
	fmt.Fprintf(mac, "%s\n%s\n%d", kind, id, ends)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

var errNoFile = cullet.E(cullet.NotFound, "this link leads nowhere: it has expired, it is not whole, or what it led to was deleted")

// file answers a link: no key, but the signature. Whether the thing is still
// active is asked each time, so that a link dies with it (D3).
func (s *Server) file(w http.ResponseWriter, r *http.Request) error {
	kind, id := word(r, "kind"), word(r, "id")
	ends, err := strconv.ParseInt(query(r).Get("expires"), 10, 64)
	signed := hmac.Equal([]byte(query(r).Get("signature")), []byte(s.sign(kind, id, ends)))
	if err != nil || !signed || s.now().Unix() >= ends {
		return errNoFile
	}
	path, etag, name, err := s.find(r.Context(), kind, id)
	if cullet.CodeOf(err) == cullet.NotFound {
		return errNoFile
	} else if err != nil {
		return err
	}
	f, _, err := s.Blobs.Open(r.Context(), path)
	if errors.Is(err, blob.ErrNotFound) { // a purge was faster, or fsck will say more
		s.Log.Error("a file is missing", "request", w.Header().Get("X-Request-Id"), "kind", kind, "id", id, "err", err)
		return errNoFile
	} else if err != nil {
		return err
	}
	defer f.Close()
	typ, inline, err := typeOf(f, kind)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", typ)
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox") // it came from outside, and is never a page
	h.Set("Cache-Control", "private, no-cache")                     // kept, but asked for each time
	h.Set("ETag", `"`+etag+`"`)
	if inline {
		h.Set("Content-Disposition", "inline")
	} else {
		h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // as long as a large export takes
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// find says where the bytes of a link are, by what they can be told from others,
// and what they are called. NotFound is all that is not active.
func (s *Server) find(ctx context.Context, kind, id string) (path, etag, name string, err error) {
	switch kind {
	case imageFile, thumbFile:
		b, err := s.Catalog.File(ctx, id, kind == thumbFile)
		return b.Path, b.Digest, id, err
	case exportFile:
		e, err := s.Press.File(ctx, id)
		return e.Path, e.ID + "-" + e.Blob, "dataset." + e.Format + ".zip", err
	}
	return "", "", "", errNoFile
}

// pictures are the types that a browser may show by itself. None of them can hold
// a script.
var pictures = map[string]bool{"image/jpeg": true, "image/png": true, "image/gif": true, "image/webp": true, "image/bmp": true, "image/tiff": true}

// typeOf looks at the bytes themselves. What is no picture is saved, not shown.
func typeOf(f io.ReadSeeker, kind string) (typ string, inline bool, err error) {
	if kind == exportFile {
		return "application/zip", false, nil
	}
	var head [512]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return "", false, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", false, err
	}
	typ = http.DetectContentType(head[:n])
	if n > 4 && (string(head[:4]) == "II*\x00" || string(head[:4]) == "MM\x00*") {
		typ = "image/tiff"
	}
	if pictures[typ] {
		return typ, true, nil
	}
	return "application/octet-stream", false, nil
}

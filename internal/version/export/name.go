package export

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cullet-vision/cullet"
)

// maxStem is the longest part of a file name that comes from the image's own
// name, in bytes: with all that is added it stays far below the 255 that file
// systems take.
const maxStem = 100

// fileName names an image in a zip: its own name, made plain, and 32 digits that
// no other image of any version has. It depends on the image alone, so that no
// list of names has to be kept.
func fileName(m cullet.VersionImage) string {
	sum := sha256.Sum256([]byte(m.Version + "\x00" + m.Image))
	return plainName(m.Name, extension(m.Format)) + ".rf." + hex.EncodeToString(sum[:16]) + "." + extension(m.Format)
}

// labelName is the name of the text beside an image.
func labelName(image string) string { return image[:strings.LastIndexByte(image, '.')] + ".txt" }

// plainName makes "my photo.png" into "my-photo_png": letters and digits of any
// script stay, everything else becomes a dash.
func plainName(name, ext string) string {
	name = strings.ToValidUTF8(name, "-")
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	if i := strings.LastIndexByte(name, '.'); i > 0 && len(name)-i <= 6 {
		if own := dashed(name[i+1:]); own != "" {
			name, ext = name[:i], own
		}
	}
	stem := dashed(name)
	if stem == "" {
		stem = "image"
	}
	return stem + "_" + ext
}

func dashed(s string) string {
	var b strings.Builder
	dash := false
	for _, r := range s {
		if !unicode.In(r, unicode.L, unicode.N, unicode.M) && r != '_' {
			dash = true
			continue
		}
		if b.Len()+utf8.RuneLen(r)+1 > maxStem {
			break
		}
		if dash && b.Len() > 0 {
			b.WriteByte('-')
		}
		dash = false
		b.WriteRune(r)
	}
	return b.String()
}

// extension is that of the bytes, whatever the name says.
func extension(format string) string {
	switch format {
	case "png", "gif", "webp", "bmp", "tiff":
		return format
	}
	return "jpg"
}

package web

import (
	"html/template"
	"strings"
)

// icons are drawn on a field of 20 by 20, in strokes of the text's colour. What an
// icon says is always said in words too.
var icons = map[string]string{
	"projects":  `<rect x="2.75" y="3.75" width="14.5" height="12.5" rx="1.5"/><path d="m3 13.5 4-4 3.2 3.2 2.3-2.2 4.5 4.3"/><circle cx="13" cy="7.5" r="1.2"/>`,
	"workflows": `<rect x="2.75" y="3.25" width="5" height="5" rx="1"/><rect x="12.25" y="11.75" width="5" height="5" rx="1"/><path d="M7.75 5.75h4.5a2.5 2.5 0 0 1 2.5 2.5v3.5"/>`,
	"settings":  `<path d="M3 6h7m4 0h3M3 14h3m4 0h7"/><circle cx="12" cy="6" r="2"/><circle cx="8" cy="14" r="2"/>`,
	"trash":     `<path d="M3.5 5.5h13M8 5.5V4a1 1 0 0 1 1-1h2a1 1 0 0 1 1 1v1.5M5 5.5l.8 10.1a1.5 1.5 0 0 0 1.5 1.4h5.4a1.5 1.5 0 0 0 1.5-1.4L15 5.5M8.3 8.8l.3 5M11.7 8.8l-.3 5"/>`,
	"search":    `<circle cx="9" cy="9" r="5.25"/><path d="m13 13 4 4"/>`,
	"restore":   `<path d="M4 8.5h8.25a4.25 4.25 0 0 1 0 8.5H8"/><path d="M7.25 5 3.75 8.5 7.25 12"/>`,
	"more":      `<circle cx="4.5" cy="10" r="1" fill="currentColor"/><circle cx="10" cy="10" r="1" fill="currentColor"/><circle cx="15.5" cy="10" r="1" fill="currentColor"/>`,
	"clock":     `<circle cx="10" cy="10" r="6.75"/><path d="M10 6.25V10l2.5 1.75"/>`,
	"alarm":     `<circle cx="10" cy="11" r="5.75"/><path d="M10 8v3l2 1.25M3.25 6 6 3.5M16.75 6 14 3.5"/>`,
	"check":     `<path d="m4 10.5 4 4 8-9"/>`,
	"alert":     `<path d="M10 3.25 17.5 16.5h-15Z"/><path d="M10 8v4m0 2v.25"/>`,
	"info":      `<circle cx="10" cy="10" r="6.75"/><path d="M10 9.25v4m0-6.75v.25"/>`,
	"close":     `<path d="m5 5 10 10M15 5 5 15"/>`,
	"left":      `<path d="M12 4.5 6.5 10l5.5 5.5"/>`,
	"right":     `<path d="M8 4.5 13.5 10 8 15.5"/>`,
	"up":        `<path d="M10 16V4.5M5.5 9 10 4.5 14.5 9"/>`,
	"down":      `<path d="M10 4v11.5M5.5 11l4.5 4.5 4.5-4.5"/>`,
	"copy":      `<rect x="7" y="7" width="9.5" height="9.5" rx="1.5"/><path d="M13 7V5a1.5 1.5 0 0 0-1.5-1.5H5A1.5 1.5 0 0 0 3.5 5v6.5A1.5 1.5 0 0 0 5 13h2"/>`,
	"plus":      `<path d="M10 4v12M4 10h12"/>`,
	"user":      `<circle cx="10" cy="7" r="3.25"/><path d="M3.75 17c.6-3.2 3-5 6.25-5s5.65 1.8 6.25 5"/>`,
	"folder":    `<path d="M2.75 6A1.5 1.5 0 0 1 4.25 4.5h3.2L9.2 6.25h6.55a1.5 1.5 0 0 1 1.5 1.5v6.5a1.5 1.5 0 0 1-1.5 1.5H4.25a1.5 1.5 0 0 1-1.5-1.5Z"/>`,
	"history":   `<path d="M3.5 10a6.5 6.5 0 1 0 2-4.7L3.5 7.25M3.5 3.5v3.75h3.75"/><path d="M10 6.75V10l2.25 1.5"/>`,
	"version":   `<path d="m10 3 7 3.5-7 3.5-7-3.5Z"/><path d="m3 10 7 3.5 7-3.5M3 13.5 10 17l7-3.5"/>`,
	"training":  `<path d="M2.75 10.5h3l2-6 4 11.5 2-5.5h3.5"/>`,
	"images":    `<rect x="2.75" y="3.75" width="14.5" height="12.5" rx="1.5"/><path d="m3 13.5 4-4 3.2 3.2 2.3-2.2 4.5 4.3"/>`,
	"project":   `<rect x="2.75" y="3.75" width="14.5" height="12.5" rx="1.5"/><path d="m3 13.5 4-4 3.2 3.2 2.3-2.2 4.5 4.3"/><circle cx="13" cy="7.5" r="1.2"/>`,
	"workflow":  `<rect x="2.75" y="3.25" width="5" height="5" rx="1"/><rect x="12.25" y="11.75" width="5" height="5" rx="1"/><path d="M7.75 5.75h4.5a2.5 2.5 0 0 1 2.5 2.5v3.5"/>`,
	"tag":       `<path d="M3 10.2V4a1 1 0 0 1 1-1h6.2l6.3 6.3a1.4 1.4 0 0 1 0 2l-5.2 5.2a1.4 1.4 0 0 1-2 0Z"/><circle cx="6.75" cy="6.75" r="1"/>`,
	"stop":      `<rect x="5" y="5" width="10" height="10" rx="1.5"/>`,
	"play":      `<path d="M6.5 4.25v11.5l9-5.75Z"/>`,
	"external":  `<path d="M11.5 3.5h5v5M16 4l-7 7M13.5 11v4A1.5 1.5 0 0 1 12 16.5H5A1.5 1.5 0 0 1 3.5 15V8A1.5 1.5 0 0 1 5 6.5h4"/>`,
	"filter":    `<path d="M3 5h14M6 10h8M8.5 15h3"/>`,
	"lock":      `<rect x="4.25" y="9" width="11.5" height="8" rx="1.5"/><path d="M6.75 9V6.5a3.25 3.25 0 0 1 6.5 0V9"/>`,
	"unlock":    `<rect x="4.25" y="9" width="11.5" height="8" rx="1.5"/><path d="M6.75 9V6.5a3.25 3.25 0 0 1 6.2-1.4"/>`,
	"shield":    `<path d="M10 2.75 4 5v4.5c0 3.7 2.5 6.3 6 7.75 3.5-1.45 6-4.05 6-7.75V5Z"/><path d="m7.25 9.75 2 2 3.5-3.75"/>`,
	"later":     `<rect x="3" y="4.25" width="14" height="12.5" rx="1.5"/><path d="M3 8h14M6.75 2.75v3M13.25 2.75v3M7.5 12.25h5M10.5 10.25l2 2-2 2"/>`,
	"storage":   `<ellipse cx="10" cy="5" rx="6.5" ry="2.25"/><path d="M3.5 5v10c0 1.25 2.9 2.25 6.5 2.25s6.5-1 6.5-2.25V5M3.5 10c0 1.25 2.9 2.25 6.5 2.25s6.5-1 6.5-2.25"/>`,
	"dash":      `<path d="M4.5 10h11"/>`,
}

// logo is a shard of glass.
const logo = `<svg class="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false"><path class="shard-a" d="M6 26 13 4l6 13Z"/><path class="shard-b" d="m13 4 13 8-7 5Z"/><path class="shard-c" d="m6 26 13-9 5 9Z"/></svg>`

// icon draws one; a name that is not there is a bug, which a test over all pages finds.
func icon(name string) template.HTML {
	if name == "logo" {
		return logo
	}
	body, ok := icons[name]
	if !ok {
		return template.HTML("<!-- no icon " + template.HTMLEscapeString(strings.ReplaceAll(name, "--", "")) + " -->")
	}
	return template.HTML(`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">` + body + `</svg>`)
}

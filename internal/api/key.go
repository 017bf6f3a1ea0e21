package api

import (
	"net/http"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
)

// This file has API keys (contract/70).

type keyOut struct {
	KeyID      string         `json:"keyId"`
	Name       string         `json:"name"`
	Prefix     string         `json:"prefix"`
	Default    bool           `json:"default"`
	Protected  bool           `json:"protected"`
	Disabled   bool           `json:"disabled"`
	Scopes     []cullet.Scope `json:"scopes"` // null: full access
	Metadata   any            `json:"customMetadata"`
	CreatedOn  string         `json:"created_on"`
	LastUsedAt *string        `json:"lastUsedAt"`
}

func toKey(k cullet.Key) keyOut {
	out := keyOut{KeyID: k.ID, Name: k.Name, Prefix: k.Prefix, Default: k.Default, Protected: k.Protected, Disabled: k.Disabled,
		Metadata: object(k.Metadata), CreatedOn: stamp(k.CreatedAt), LastUsedAt: stampOrNull(k.LastUsedAt)}
	if !k.Full {
		out.Scopes = orEmpty(k.Scopes)
	}
	return out
}

func (s *Server) listKeys(w http.ResponseWriter, r *http.Request) error {
	disabledToo, err := yes(r, "includeDisabled")
	if err != nil {
		return err
	}
	all, err := s.Access.Keys(r.Context(), actor(r))
	if err != nil {
		return err
	}
	keys := []keyOut{}
	for _, k := range all {
		if disabledToo || !k.Disabled {
			keys = append(keys, toKey(k))
		}
	}
	return ok(w, map[string]any{"apiKeys": keys})
}

func (s *Server) getKey(w http.ResponseWriter, r *http.Request) error {
	k, err := s.Access.GetKey(r.Context(), actor(r), word(r, "key"))
	if err != nil {
		return err
	}
	return ok(w, map[string]any{"apiKey": toKey(k)})
}

// keyIn is a new or changed key as clients send it. What would promise a limit
// that is not kept is refused.
type keyIn struct {
	Name           *string               `json:"name"`
	Scopes         maybe[[]cullet.Scope] `json:"scopes"` // absent: the caller's own, or unchanged; null: full access
	CustomMetadata maybe[map[string]any] `json:"customMetadata"`
	Protected      *bool                 `json:"protected"`
	Disabled       *bool                 `json:"disabled"`
	FolderIDs      []string              `json:"folderIds"`
	RotationDueAt  maybe[string]         `json:"rotationDueAt"`
	Owners         maybe[[]any]          `json:"owners"`
}

func (in keyIn) change() (c access.KeyChange, err error) {
	switch {
	case len(in.FolderIDs) > 0:
		return c, cullet.E(cullet.NotImplemented, "keys for chosen folders are not available on this server: folderIds")
	case in.RotationDueAt.value != "":
		return c, cullet.E(cullet.NotImplemented, "reminders to rotate keys are not available on this server: rotationDueAt")
	case len(in.Owners.value) > 0:
		return c, cullet.E(cullet.NotImplemented, "reminders to rotate keys are not available on this server: owners")
	}
	c = access.KeyChange{Name: in.Name, Protected: in.Protected, Disabled: in.Disabled}
	if in.Scopes.set && in.Scopes.null {
		full := true
		c.Full = &full
	} else if in.Scopes.set {
		c.Scopes = &in.Scopes.value
	}
	if in.CustomMetadata.set {
		text := "{}"
		if !in.CustomMetadata.null {
			text = toJSON(in.CustomMetadata.value)
		}
		c.Metadata = &text
	}
	return c, nil
}

func (s *Server) createKey(w http.ResponseWriter, r *http.Request) error {
	var in keyIn
	if err := decodeMaybe(r, &in); err != nil {
		return err
	}
	c, err := in.change()
	if err != nil {
		return err
	}
	k, secret, err := s.Access.MakeKey(r.Context(), actor(r), c)
	if err != nil {
		return err
	}
	return ok(w, struct {
		Key string `json:"key"` // shown this once
		keyOut
	}{secret, toKey(k)})
}

func (s *Server) updateKey(w http.ResponseWriter, r *http.Request) error {
	var in keyIn
	if err := decode(r, &in); err != nil {
		return err
	}
	c, err := in.change()
	if err != nil {
		return err
	}
	k, err := s.Access.ChangeKey(r.Context(), actor(r), word(r, "key"), c)
	if err != nil {
		return err
	}
	return ok(w, map[string]any{"apiKey": toKey(k)})
}

func (s *Server) revokeKey(w http.ResponseWriter, r *http.Request) error {
	if err := s.Access.RevokeKey(r.Context(), actor(r), word(r, "key")); err != nil {
		return err
	}
	return ok(w, map[string]any{"revoked": true, "keyId": word(r, "key"), "revokedAt": stamp(s.now())})
}

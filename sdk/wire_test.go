package sdk

import (
	"encoding/json"
	"testing"
)

// No value of one field can fail an answer.
func TestFieldsNeverFail(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{`null`, `true`, `""`, `"x"`, `"NaN"`, `"1e999"`, `1e999`, `-1`, `1.5`, `[]`, `{}`, `{"_seconds":"x"}`, `99999999999999999999`, `"0001-01-01T00:00:00Z"`} {
		var in struct {
			T text
			N number
			F flag
			I instant
		}
		if err := json.Unmarshal([]byte(`{"t":`+raw+`,"n":`+raw+`,"f":`+raw+`,"i":`+raw+`}`), &in); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		_ = in.N.int()
	}
}

func TestDefinition(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                               `{}`,
		"\uFEFF":                         `{}`,
		`{}`:                             `{}`,
		`{"a": 1}`:                       `{"a": 1}`,
		`not json`:                       `not json`,
		`["steps"]`:                      `["steps"]`,
		"\uFEFF{\"specification\": {}}":  `{"specification": {}}`,
		`{"specification":{},"steps":0}`: `{"specification":{},"steps":0}`,
		`{"steps": [ ], "version": "1"}`: `{"specification":{"steps":[],"version":"1"}}`,
		`{"inputs":null}`:                `{"specification":{"inputs":null}}`,
		`{"specification":null}`:         `{"specification":null}`,
	} {
		if got := definition(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

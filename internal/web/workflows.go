package web

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"

	"github.com/cullet-vision/cullet"
)

// workflowsPage lists the workspace's workflows.
type workflowsPage struct {
	*frame
	Rows    []workflowRow
	InTrash int64
	Server  string
}

type workflowRow struct {
	cullet.Workflow
	Blocks int      // steps in it, -1 where the definition does not say
	Models []string // that its steps name
	Ago    string
}

func (a *app) workflows(w http.ResponseWriter, v *visit) error {
	f, err := a.inside(v, "workflows", "Workflows", v.ws.Name)
	if err != nil {
		return err
	}
	all, err := a.Shelf.List(v.Context(), v.by)
	if err != nil {
		return err
	}
	page := workflowsPage{frame: f, InTrash: f.Trash.ByType[cullet.TrashWorkflow].Items, Server: a.origin(v.Request)}
	for _, wf := range all {
		steps, models := readWorkflow(wf.Config)
		page.Rows = append(page.Rows, workflowRow{wf, steps, models, fromNow(wf.UpdatedAt, v.now)})
	}
	return a.render(w, v, http.StatusOK, "workflows", page)
}

// workflow leads to the row of a workflow.
func (a *app) workflow(w http.ResponseWriter, v *visit) error {
	wf, err := a.Shelf.Get(v.Context(), v.by, chi.URLParam(v.Request, "workflow"))
	if err != nil {
		return err
	}
	v.to = "/app/" + v.ws.Slug + "/workflows#" + wf.Slug
	return nil
}

// readWorkflow finds the steps of a definition and the models that they name, in
// whatever layer of it they are.
func readWorkflow(config string) (steps int, models []string) {
	steps = -1
	var look func(v any, depth int)
	look = func(v any, depth int) {
		if depth > 20 {
			return
		}
		switch v := v.(type) {
		case map[string]any:
			if list, ok := v["steps"].([]any); ok && steps < 0 {
				steps = len(list)
			}
			for _, name := range []string{"model_id", "modelId"} {
				if id, ok := v[name].(string); ok && !slices.Contains(models, id) {
					models = append(models, id)
				}
			}
			for _, inner := range v {
				look(inner, depth+1)
			}
		case []any:
			for _, inner := range v {
				look(inner, depth+1)
			}
		case string:
			// Clients also send the definition as text inside the definition.
			if len(v) > 1 && v[0] == '{' {
				var inner any
				if json.Unmarshal([]byte(v), &inner) == nil {
					look(inner, depth+1)
				}
			}
		}
	}
	look(config, 0)
	slices.Sort(models)
	return steps, models
}

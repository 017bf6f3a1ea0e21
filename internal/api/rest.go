package api

import (
	"net/http"

	"github.com/cullet-vision/cullet"
)

// This file has what contract/70 wants of parts that are not built: answers that
// their clients understand as "there is none".

// getTask: no asynchronous task was ever begun here.
func (s *Server) getTask(_ http.ResponseWriter, r *http.Request) error {
	return cullet.E(cullet.NotFound, "there is no task %q in this workspace", brief(word(r, "task")))
}

func (s *Server) listEvals(w http.ResponseWriter, _ *http.Request) error {
	return ok(w, map[string]any{"evals": []any{}})
}

// getEval: the clients look for the code, not for the status.
func (s *Server) getEval(http.ResponseWriter, *http.Request) error {
	return &custom{http.StatusNotFound, map[string]string{"error": "model_eval_not_found", "message": "there is no such evaluation in this workspace"}}
}

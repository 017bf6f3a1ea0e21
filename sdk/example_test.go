package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/cullet-vision/cullet/sdk"
)

// shelf is a server with one project, which is in Trash or is not, and whose slug
// may be taken.
type shelf struct {
	trashed, taken bool
	slug           string
}

// startServer stands in for `cullet serve`.
func startServer(s *shelf) *httptest.Server {
	s.slug = "my-detector"
	say := func(w http.ResponseWriter, status int, body string) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("api_key") != "rf_example" {
			say(w, 401, `{"error":{"message":"this API key does not exist or was revoked"}}`)
			return
		}
		say(w, 200, `{"workspace":"glass-works"}`)
	})
	mux.HandleFunc("GET /glass-works/{project}", func(w http.ResponseWriter, r *http.Request) {
		if s.trashed || r.PathValue("project") != s.slug {
			say(w, 404, fmt.Sprintf(`{"error":{"message":"there is no project %q in this workspace"}}`, r.PathValue("project")))
			return
		}
		say(w, 200, `{"project":{"id":"glass-works/`+s.slug+`","name":"My Detector","images":240}}`)
	})
	mux.HandleFunc("DELETE /glass-works/my-detector", func(w http.ResponseWriter, _ *http.Request) {
		s.trashed = true
		say(w, 200, `{"deleted":true,"projectId":"d_1","scheduledCleanupAt":"2026-05-01T12:00:00.000Z"}`)
	})
	mux.HandleFunc("GET /glass-works/trash", func(w http.ResponseWriter, _ *http.Request) {
		if !s.trashed {
			say(w, 200, `{"items":[],"sections":{"projects":[]}}`)
			return
		}
		item := `[{"id":"d_1","type":"project","name":"My Detector","url":"my-detector","deletedByName":"Ada","scheduledCleanupAt":"2026-05-01T12:00:00.000Z"}]`
		say(w, 200, `{"items":`+item+`,"sections":{"projects":`+item+`}}`)
	})
	mux.HandleFunc("POST /glass-works/trash/restore", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ NewURL string }
		if json.NewDecoder(r.Body).Decode(&in); s.taken && in.NewURL == "" {
			say(w, 409, `{"error":"the slug \"my-detector\" was taken by another project meanwhile; restore it under a free one, such as \"my-detector-2\" (newUrl), or rename the other first"}`)
			return
		}
		if s.trashed = false; in.NewURL != "" {
			s.slug = in.NewURL
		}
		say(w, 200, `{"restored":true,"type":"project","id":"d_1","url":"`+s.slug+`"}`)
	})
	return httptest.NewServer(mux)
}

// Delete a project, see that it is in Trash, and bring it back.
func Example() {
	server := startServer(&shelf{})
	defer server.Close()
	ctx := context.Background()

	client, err := sdk.New(server.URL, "rf_example")
	if err != nil {
		log.Fatal(err)
	}
	ws, err := client.Workspace(ctx)
	if err != nil {
		log.Fatal(err)
	}
	project, err := ws.Project(ctx, "my-detector")
	if err != nil {
		log.Fatal(err)
	}
	deletion, err := project.Delete(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("restorable until", deletion.ScheduledCleanupAt.Format(time.DateOnly))

	_, err = ws.Project(ctx, "my-detector")
	fmt.Println("gone:", errors.Is(err, sdk.ErrNotFound))

	if _, err := project.Restore(ctx); err != nil { // the handle still works
		log.Fatal(err)
	}
	project, err = ws.Project(ctx, "my-detector")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("back:", project.Name, "with", project.Images, "images")
	// Output:
	// restorable until 2026-05-01
	// gone: true
	// back: My Detector with 240 images
}

func ExampleNew() {
	server := startServer(&shelf{})
	defer server.Close()

	client, err := sdk.New(server.URL, "rf_example", sdk.WithHTTPClient(&http.Client{Timeout: 10 * time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	ws, err := client.Workspace(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ws.Slug)
	// Output: glass-works
}

func ExampleWorkspace_Trash() {
	server := startServer(&shelf{trashed: true})
	defer server.Close()
	ctx := context.Background()
	client, err := sdk.New(server.URL, "rf_example")
	if err != nil {
		log.Fatal(err)
	}
	ws, err := client.Workspace(ctx)
	if err != nil {
		log.Fatal(err)
	}

	trash, err := ws.Trash(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, item := range trash.Items {
		fmt.Println(item.Type, item.URL, "deleted by", item.DeletedByName)
	}
	back, err := ws.Restore(ctx, trash.Items[0].Undo())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("restored", back.URL)
	// Output:
	// project my-detector deleted by Ada
	// restored my-detector
}

// A project cannot be restored that is not in Trash.
func ExampleProject_Restore() {
	server := startServer(&shelf{})
	defer server.Close()
	ctx := context.Background()
	client, err := sdk.New(server.URL, "rf_example")
	if err != nil {
		log.Fatal(err)
	}
	ws, err := client.Workspace(ctx)
	if err != nil {
		log.Fatal(err)
	}
	project, err := ws.Project(ctx, "my-detector")
	if err != nil {
		log.Fatal(err)
	}

	_, err = project.Restore(ctx)
	if errors.Is(err, sdk.ErrNotInTrash) {
		fmt.Println(err)
	}
	// Output: project my-detector: not in Trash
}

// While a project was in Trash, another took its slug: restore it under another.
func ExampleSlugTakenError() {
	server := startServer(&shelf{trashed: true, taken: true})
	defer server.Close()
	ctx := context.Background()
	client, err := sdk.New(server.URL, "rf_example")
	if err != nil {
		log.Fatal(err)
	}
	ws, err := client.Workspace(ctx)
	if err != nil {
		log.Fatal(err)
	}

	back, err := ws.Restore(ctx, sdk.Restore{Type: sdk.TypeProject, ID: "d_1"})
	var taken *sdk.SlugTakenError
	if errors.As(err, &taken) {
		again := taken.Refused
		again.NewURL = taken.Free
		back, err = ws.Restore(ctx, again)
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("restored as", back.URL)
	// Output: restored as my-detector-2
}

// What a server refuses has its status, its sentence and the request's id.
func ExampleError() {
	server := startServer(&shelf{})
	defer server.Close()
	client, err := sdk.New(server.URL, "rf_mistyped")
	if err != nil {
		log.Fatal(err)
	}

	_, err = client.Workspace(context.Background())
	var refusal *sdk.Error
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Status, errors.Is(err, sdk.ErrUnauthorized))
		fmt.Println(refusal.Message)
	}
	// Output:
	// 401 true
	// this API key does not exist or was revoked
}

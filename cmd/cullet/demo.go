package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/demo"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/training"
)

type demoCommand struct {
	Addr string `help:"Address to listen on." default:"127.0.0.1:7080" env:"CULLET_ADDR"`
	Data string `help:"Folder of the sample data; started again on it, what you did is still there." default:"cullet-demo" env:"CULLET_DATA" placeholder:"DIR"`
}

const (
	demoName  = "Demo"
	demoEmail = "demo@example.com"
	demoKey   = "demo"
)

// Run makes the sample workspace where there is none, serves it, and prints what
// a newcomer needs.
func (c *demoCommand) Run(ctx context.Context) error {
	s := settings{Data: c.Data, TrashRetention: cullet.DefaultRetention, CleanupInterval: time.Minute, UploadMaxBytes: 64 << 20,
		LogFormat: "text", TrainingCapacity: 2}
	g, err := openGround(ctx, s, true)
	if err != nil {
		return err
	}
	defer g.close()
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	trainers, err := s.trainers()
	if err != nil {
		return err
	}
	trainers = append(trainers, training.Trainer{Name: "demo", ModelTypes: []string{demo.ModelType}, Command: []string{exe, demo.Subcommand},
		CreditsPerHour: demo.CreditsPerHour, Retry: 3})
	opened, password, err := c.account(ctx, g)
	if err != nil {
		return err
	}
	logFile, err := os.OpenFile(filepath.Join(c.Data, "demo.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()
	g.log = logTo(logFile)
	v, err := newServer(ctx, s, g, trainers)
	if err != nil {
		return err
	}
	return v.serve(ctx, c.Addr, func(url string) error {
		by := cullet.Actor{Workspace: opened.Workspace.ID, ID: opened.Key.ID, Name: "key " + opened.Key.Name, Means: cullet.ByKey, Role: cullet.Owner}
		sample := demo.Sample{Catalog: v.catalog, Intake: v.intake, Press: v.press, Queue: v.queue, Shelf: v.shelf}
		if err := sample.Fill(ctx, by); err != nil {
			return fmt.Errorf("making the sample: %w", err)
		}
		return welcome.Execute(os.Stdout, map[string]string{"URL": url, "Workspace": opened.Workspace.Slug, "Email": demoEmail,
			"Password": password, "Key": opened.Secret, "Project": demo.Project, "Log": filepath.Join(c.Data, "demo.log"), "Data": c.Data})
	})
}

// account makes the sample's workspace with its owner; started again it makes a
// new key and revokes the one before, which cannot be shown again.
func (c *demoCommand) account(ctx context.Context, g *ground) (o access.Opened, password string, err error) {
	there, err := g.workspaces(ctx)
	if err != nil {
		return o, "", err
	}
	file := filepath.Join(c.Data, "demo.json")
	if len(there) == 0 {
		password = cullet.RandomText(20)
		if o, err = g.access.Open(ctx, access.NewWorkspace{Name: demoName, Email: demoEmail, Person: "Demo", Password: password}); err != nil {
			return o, "", err
		}
		b, _ := json.Marshal(map[string]string{"password": password}) // a map of text always encodes
		return o, password, errors.Join(os.WriteFile(file, b, 0o600), g.rename(ctx, o))
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return o, "", fmt.Errorf("%s holds a workspace that is no demo; serve it with `cullet serve --data %s`", c.Data, c.Data)
	} else if err != nil {
		return o, "", err
	}
	var kept struct{ Password string }
	if err := json.Unmarshal(b, &kept); err != nil {
		return o, "", fmt.Errorf("reading %s: %w", file, err)
	}
	o.Workspace = there[0]
	err = g.db.View(ctx, func(tx *store.Tx) (err error) {
		o.Owner, err = tx.GetPersonByEmail(ctx, demoEmail)
		return err
	})
	if err == nil {
		o.Key, o.Secret, err = g.access.Replace(ctx, o.Workspace.ID, o.Owner.ID, demoKey)
	}
	return o, kept.Password, err
}

// rename gives the first key the demo's name, so that the next start finds it.
func (g *ground) rename(ctx context.Context, o access.Opened) error {
	o.Key.Name = demoKey
	return g.db.Update(ctx, func(tx *store.Tx) error { return tx.UpdateKey(ctx, o.Key) })
}

var welcome = template.Must(template.New("").Parse(`
  Cullet demo: everything you delete here stays restorable for 30 days.

  web        {{.URL}}/app
  sign in    {{.Email}}   password  {{.Password}}
  API key    {{.Key}}   (workspace {{.Workspace}})
  data       {{.Data}}   log  {{.Log}}

  Delete and restore a project with the official SDK: pip install roboflow, then paste this into Python.

import os
os.environ["API_URL"] = "{{.URL}}"
os.environ["APP_URL"] = "{{.URL}}/app"
os.environ["ROBOFLOW_API_KEY"] = "{{.Key}}"
import roboflow

workspace = roboflow.Roboflow().workspace()
project = workspace.project("{{.Project}}")
training = project.version(2).trainings()[0]
print("training before:", training.status)

project.delete()
print("in the workspace:", [p["id"] for p in roboflow.Roboflow().workspace().project_list])
print("in Trash:", [(item["name"], item["scheduledCleanupAt"]) for item in workspace.trash()["sections"]["projects"]])

project.restore()
print("back again:", [p["id"] for p in roboflow.Roboflow().workspace().project_list])
training = project.version(2).trainings()[0]
print("training after:", training.status, "(cancelled by the deletion; a restore does not start it again)")

  Stop with Ctrl-C.
`))

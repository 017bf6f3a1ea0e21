package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cullet-vision/cullet/internal/access"
)

// newAccount is what a new workspace is made of.
type newAccount struct {
	Name          string `name:"workspace" help:"Name of the workspace." required:"" placeholder:"NAME"`
	Email         string `help:"Address of its owner, to sign in with." required:"" placeholder:"E"`
	PasswordStdin bool   `help:"Read the owner's password from the standard input."`
	JSON          bool   `name:"json" help:"Print one JSON object."`
}

type initCommand struct {
	settings
	newAccount
}

// Run makes a new data folder. Where there is one already it changes nothing.
func (c *initCommand) Run(ctx context.Context) error {
	password, err := c.password(os.Stdin)
	if err != nil {
		return err
	}
	g, err := openGround(ctx, c.settings, true)
	if err != nil {
		return err
	}
	defer g.close()
	if there, err := g.workspaces(ctx); err != nil {
		return err
	} else if len(there) > 0 {
		return fmt.Errorf("%s exists and holds the workspace %s; nothing was changed. `cullet workspace create` makes another one", c.Data, there[0].Slug)
	}
	return c.open(ctx, g, password)
}

type workspaceCommand struct {
	Create workspaceCreate `cmd:"" help:"Make another workspace on a server."`
}

type workspaceCreate struct {
	settings
	newAccount
}

// Run makes another workspace. A server may be running beside it.
func (c *workspaceCreate) Run(ctx context.Context) error {
	password, err := c.password(os.Stdin)
	if err != nil {
		return err
	}
	g, err := openGround(ctx, c.settings, false)
	if err != nil {
		return err
	}
	defer g.close()
	return c.open(ctx, g, password)
}

// password reads the owner's password: the first line of the input.
func (a newAccount) password(in io.Reader) (string, error) {
	if !a.PasswordStdin {
		return "", errors.New("the owner's password is read from the standard input: add --password-stdin, and put it there")
	}
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func (a newAccount) open(ctx context.Context, g *ground, password string) error {
	o, err := g.access.Open(ctx, access.NewWorkspace{Name: a.Name, Email: a.Email, Password: password})
	if err != nil {
		return err
	}
	if a.JSON {
		return json.NewEncoder(os.Stdout).Encode(map[string]string{"workspace": o.Workspace.Slug, "api_key": o.Secret, "email": o.Owner.Email})
	}
	fmt.Printf("workspace  %s\nsign in    %s\nAPI key    %s   (shown this once)\n", o.Workspace.Slug, o.Owner.Email, o.Secret)
	return nil
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// server is a serving cullet, and a client of it.
type server struct {
	cmd    *exec.Cmd
	url    string
	key    string
	client *http.Client
}

// serve starts the built program on a place.
func (p *place) serve(ctx context.Context, binary string) (*server, error) {
	args := []string{"serve", "--data", p.dir, "--addr", "127.0.0.1:0", "--cleanup-interval", "1s"}
	if p.url != "" {
		args = append(args, "--database-url", p.url)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	s := &server{cmd: exec.CommandContext(ctx, binary, args...), key: p.opened.Secret, client: &http.Client{Jar: jar}}
	log, err := os.Create(filepath.Join(p.dir, "server.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		return nil, errors.Join(fmt.Errorf("the server did not start: %s", said), s.stop())
	}
	s.url = strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	return s, nil
}

func (s *server) stop() error {
	return errors.Join(s.cmd.Process.Signal(syscall.SIGTERM), s.cmd.Wait())
}

// call asks the API, and reads its answer to the end.
func (s *server) call(ctx context.Context, method, path, body string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return s.do(r)
}

func (s *server) do(r *http.Request) (string, error) {
	w, err := s.client.Do(r)
	if err != nil {
		return "", err
	}
	defer w.Body.Close()
	b, err := io.ReadAll(w.Body)
	if err == nil && w.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s %.200s", r.Method, r.URL.Path, w.Status, b)
	}
	return string(b), err
}

func (s *server) page(ctx context.Context, path string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return "", err
	}
	return s.do(r)
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]*)"`)

// signIn signs the workspace's owner in to the web app.
func (s *server) signIn(ctx context.Context) error {
	form, err := s.page(ctx, "/app/sign-in")
	if err != nil {
		return err
	}
	field := csrfField.FindStringSubmatch(form)
	if field == nil {
		return errors.New("the sign-in page has no form")
	}
	body := url.Values{"csrf": {field[1]}, "email": {email}, "password": {password}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/app/sign-in", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, err = s.do(r)
	return err
}

package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Hosted is the address of hosted Roboflow, for New.
const Hosted = "https://api.roboflow.com"

// What a client is made with unless an Option says otherwise.
const (
	// DefaultTimeout is how long one request may take, its answer included.
	DefaultTimeout = time.Minute
	// DefaultMaxAnswerBytes is the longest answer that is read. The Trash is
	// listed whole: 100,000 items are about 100 MB.
	DefaultMaxAnswerBytes = 256 << 20
)

// maxRefusalBytes is how much of a refusal is read, maxMessage what is kept of its
// text, in characters.
const (
	maxRefusalBytes = 64 << 10
	maxMessage      = 2000
)

// secret keeps the key where no verb of fmt, no encoder and no logger finds it:
// of a function they print an address at most.
type secret func() string

// Client speaks with one server, with one API key. Make it with New.
type Client struct {
	base      *url.URL // without a slash at its end, query or fragment
	key       secret
	http      http.Client
	maxAnswer int64
}

// Option changes how New makes a client.
type Option func(*Client) error

// WithHTTPClient lets requests go through h: its timeout, transport, proxy and
// certificates. A timeout of 0 means none but the context's. The client keeps a
// copy, whose redirects are never followed.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) error {
		if h == nil {
			return fmt.Errorf("%w: WithHTTPClient needs an http.Client, not nil", ErrInvalid)
		}
		c.http = *h
		return nil
	}
}

// WithMaxAnswerBytes sets the longest answer that is read, uncompressed; longer
// ones are ErrAnswerTooLong.
func WithMaxAnswerBytes(n int64) Option {
	return func(c *Client) error {
		if n <= 0 {
			return fmt.Errorf("%w: the longest answer must be more than 0 bytes", ErrInvalid)
		}
		c.maxAnswer = n
		return nil
	}
}

// New makes a client for the server at apiURL, such as http://127.0.0.1:7080 or
// Hosted. Nothing is sent yet: Client.Workspace is the first to use the key. The
// key travels in the query, as Roboflow's clients send it, so use https for
// servers beyond your own network. Errors: ErrInvalid.
func New(apiURL, apiKey string, opts ...Option) (*Client, error) {
	// No message says what was given: somebody may have swapped the two.
	base, err := url.Parse(apiURL)
	switch {
	case err != nil, base.Scheme != "http" && base.Scheme != "https", base.Host == "":
		return nil, fmt.Errorf("%w: the API URL must be an http or https address, such as http://127.0.0.1:7080", ErrInvalid)
	case base.RawQuery != "" || base.Fragment != "" || base.User != nil:
		return nil, fmt.Errorf("%w: the API URL must have no query, fragment or user", ErrInvalid)
	case apiKey == "":
		return nil, fmt.Errorf("%w: the API key is missing", ErrInvalid)
	case strings.ContainsFunc(apiKey, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return nil, fmt.Errorf("%w: the API key holds white space; was it read with the end of its line?", ErrInvalid)
	}
	base.Path, base.RawPath = strings.TrimRight(base.Path, "/"), strings.TrimRight(base.RawPath, "/")
	c := &Client{base: base, key: func() string { return apiKey }, http: http.Client{Timeout: DefaultTimeout}, maxAnswer: DefaultMaxAnswerBytes}
	for _, o := range opts {
		if err := o(c); err != nil {
			return nil, err
		}
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// Workspace returns the workspace that the key is of (contract/00, "validate key").
// Errors: ErrUnauthorized for a key that is none, or was revoked.
func (c *Client) Workspace(ctx context.Context) (*Workspace, error) {
	var in struct{ Workspace text }
	if err := c.do(ctx, call{method: http.MethodPost, out: &in}); err != nil {
		return nil, err
	}
	if err := checkWord("workspace", string(in.Workspace)); err != nil {
		return nil, badAnswer(http.MethodPost, "/", "it names no workspace")
	}
	return &Workspace{Slug: string(in.Workspace), c: c}, nil
}

// call is one request and what its answer is read into.
type call struct {
	method string
	path   []string // words, not yet escaped; none is the root
	query  url.Values
	body   any // sent as JSON; nil: none
	out    any // decoded from JSON
	any2xx bool
}

// accepts says which statuses are successes: 200 alone, but for what makes
// something new (contract/00).
func (k call) accepts(status int) bool {
	return status == http.StatusOK || k.any2xx && status > 200 && status < 300
}

func (c *Client) do(ctx context.Context, k call) error {
	if c == nil {
		return fmt.Errorf("%w: this handle was not made by a client", ErrInvalid)
	}
	u := c.address(k)
	where := strings.TrimPrefix(u.EscapedPath(), c.base.EscapedPath())
	req, err := c.request(ctx, k, u)
	if err != nil {
		return fmt.Errorf("%s %s: %w", k.method, where, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", k.method, where, c.cause(err))
	}
	defer resp.Body.Close()
	if !k.accepts(resp.StatusCode) {
		return c.refusal(k.method, where, resp)
	}
	body := http.MaxBytesReader(nil, resp.Body, c.maxAnswer)
	if err := json.NewDecoder(body).Decode(k.out); err != nil {
		return c.undecoded(k.method, where, err)
	}
	_, _ = io.CopyN(io.Discard, body, 4096) // its last line break, so that the connection can be used again
	return nil
}

// address is where a call goes, with the key in its query.
func (c *Client) address(k call) *url.URL {
	escaped := make([]string, len(k.path))
	for n, w := range k.path {
		escaped[n] = url.PathEscape(w)
	}
	u := *c.base
	u.RawPath = c.base.EscapedPath() + "/" + strings.Join(escaped, "/")
	u.Path += "/" + strings.Join(k.path, "/")
	q := url.Values{"api_key": {c.key()}}
	for name, values := range k.query {
		q[name] = values
	}
	u.RawQuery = q.Encode()
	return &u
}

func (c *Client) request(ctx context.Context, k call, u *url.URL) (*http.Request, error) {
	var body io.Reader
	if k.body != nil {
		b, err := json.Marshal(k.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, c.base.String(), body)
	if err != nil {
		return nil, err
	}
	req.URL = u // not parsed again: the texts of such errors quote all of it, the key too
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "cullet-sdk-go")
	if k.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// undecoded is why an answer could not be read.
func (c *Client) undecoded(method, where string, err error) error {
	var long *http.MaxBytesError
	var syntax *json.SyntaxError
	var shape *json.UnmarshalTypeError
	switch {
	case errors.As(err, &long):
		return fmt.Errorf("%s %s: %w: more than %d bytes", method, where, ErrAnswerTooLong, long.Limit)
	case errors.As(err, &syntax), errors.As(err, &shape):
		return badAnswer(method, where, c.scrub(err.Error()))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return badAnswer(method, where, "it ends too early")
	}
	return fmt.Errorf("%s %s: reading the answer: %w", method, where, c.cause(err))
}

func badAnswer(method, where, why string) error {
	return fmt.Errorf("%s %s: %w: %s", method, where, ErrBadAnswer, why)
}

// cause is an error of the transport without the address that net/http puts around
// it: that has the key in its query.
func (c *Client) cause(err error) error {
	for {
		u, ok := err.(*url.Error)
		if !ok || u.Err == nil {
			break
		}
		err = u.Err
	}
	clean := c.scrub(err.Error())
	if clean == err.Error() {
		return err
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return fmt.Errorf("%s: %w", clean, known)
		}
	}
	return errors.New(clean)
}

// scrub takes the key out of a text, as it is and as a query has it.
func (c *Client) scrub(s string) string {
	key := c.key()
	return strings.NewReplacer(key, "…", url.QueryEscape(key), "…", url.PathEscape(key), "…").Replace(s)
}

// checkWord refuses what cannot be one word of a path. Some servers decode a path
// before they take it apart, so a word that holds a slash or leads upwards could
// become another address.
func checkWord(what, s string) error {
	switch {
	case s == "", s == ".", s == "..":
		return fmt.Errorf("%w: %q is no %s", ErrInvalid, s, what)
	case len(s) > 300:
		return fmt.Errorf("%w: the %s is longer than any there is", ErrInvalid, what)
	case strings.ContainsAny(s, `/\?#%`), strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("%w: %q is no %s: it must be the slug alone", ErrInvalid, s, what)
	}
	return nil
}

package cullet

import "time"

// MaxWorkflowConfig is the largest definition of a workflow, in bytes.
const MaxWorkflowConfig = 1 << 20

// Workflow is inference steps saved as one thing. Its config is kept to the
// letter.
type Workflow struct {
	ID          string
	Workspace   string
	Slug        string
	Name        string
	Description string
	Config      string
	Version     int64 // grows with each save
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// WorkflowVersion is the workflow as it was saved once.
type WorkflowVersion struct {
	Number    int64
	Config    string
	CreatedAt time.Time
}

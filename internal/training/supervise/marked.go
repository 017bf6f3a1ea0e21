package supervise

// Mark is a living process that bears the marks of a training.
type Mark struct {
	PID      int
	Training string // Spec.ID
	Token    string // Spec.Token
}

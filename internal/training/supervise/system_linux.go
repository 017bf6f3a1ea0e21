package supervise

// ownBinary is the binary that runs, also when its file was replaced or removed.
func ownBinary() string { return "/proc/self/exe" }

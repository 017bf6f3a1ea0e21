package main

import "github.com/cullet-vision/cullet"

// systemClock is the clock that everything is handed. Builds for tests may move it.
var systemClock cullet.Clock = cullet.SystemClock{}

package api

import (
	"testing"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/training"
)

// The loops of the SDK know two ends, and every state has to lead to one of them
// or to a word that keeps them waiting.
func TestWireStates(t *testing.T) {
	t.Parallel()
	want := map[cullet.TrainingState]string{cullet.TrainQueued: "queued", cullet.TrainStarting: "queued", cullet.TrainRunning: "running",
		cullet.TrainStopping: "running", cullet.TrainFinished: "finished", cullet.TrainStopped: "finished", cullet.TrainCancelled: "failed", cullet.TrainFailed: "failed"}
	for _, s := range cullet.TrainingStates() {
		if got := wireState(s); got != want[s] {
			t.Errorf("%s is %q on the wire, want %q", s, got, want[s])
		}
		if ends := wireState(s) == "finished" || wireState(s) == "failed"; ends != s.Ended() {
			t.Errorf("%s ends on the wire: %v", s, ends)
		}
	}
}

// V1's train: results say that it finished, the status failed that it will not.
func TestTrainOfAVersion(t *testing.T) {
	t.Parallel()
	for state, want := range map[cullet.TrainingState]string{
		cullet.TrainRunning:   `{"status":"running"}`,
		cullet.TrainCancelled: `{"status":"failed"}`,
		cullet.TrainStopped:   `{"status":"finished","results":{"mAP":0.5}}`,
	} {
		got := toJSON(toTrain(training.Detail{Training: cullet.Training{State: state}, Models: []cullet.Model{{Metrics: `{"mAP":0.5}`}}}))
		if got != want {
			t.Errorf("%s: %s, want %s", state, got, want)
		}
	}
	if got := toJSON(toTrain(training.Detail{Training: cullet.Training{State: cullet.TrainFinished}})); got != `{"status":"finished","results":{}}` {
		t.Errorf("finished without a model: %s", got)
	}
}

// The SDK plots every line that it gets, and fails on one without epoch or mAP.
func TestEpochsOfAVersion(t *testing.T) {
	t.Parallel()
	var metrics []cullet.Metric
	for _, body := range []string{`{"epoch":1,"mAP":0.25,"box_loss":1e-3,"other":"x"}`, `{"epoch":2}`, `{"mAP":0.5}`, `{"epoch":"3","mAP":0.5}`, `{"epoch":4,"mAP":null}`, `no JSON`, `[1]`, `{"epoch":5,"mAP":1}`} {
		metrics = append(metrics, cullet.Metric{Body: body})
	}
	if got, want := toJSON(toEpochs(metrics)), `{"epochs":[{"box_loss":1e-3,"epoch":1,"mAP":0.25},{"epoch":5,"mAP":1}]}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What a wish for a training leaves out stays out; epochs inside the recipe win.
func TestWishForATraining(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{}`:                            `{"ModelType":"","Epochs":0,"Recipe":null}`,
		`{"model_type":"a","epochs":3}`: `{"ModelType":"a","Epochs":3,"Recipe":null}`,
		`{"modelType":"b","model_type":"a","speed":"fast","checkpoint":"c1"}`:            `{"ModelType":"b","Epochs":0,"Recipe":{"checkpoint":"c1","speed":"fast"}}`,
		`{"trainRecipe":{"hyperparameters":{"epochs":5},"speed":"slow"},"speed":"fast"}`: `{"ModelType":"","Epochs":0,"Recipe":{"hyperparameters":{"epochs":5},"speed":"slow"}}`,
	} {
		var in trainingIn
		if err := decodeObject([]byte(body), &in); err != nil {
			t.Fatal(err)
		}
		if got := toJSON(in.wish()); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

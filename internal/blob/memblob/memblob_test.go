package memblob_test

import (
	"testing"

	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/blob/blobtest"
	"github.com/cullet-vision/cullet/internal/blob/memblob"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(*testing.T) blob.Driver { return memblob.New() })
}

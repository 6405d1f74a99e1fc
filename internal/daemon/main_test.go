package daemon

import (
	"testing"

	"campaignd/test/natstest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, natstest.LeftBehind()...) }

package control

import (
	"net"
	"testing"
)

// A port in use is named once, with what to do.
func TestListenSaysWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := taken.Addr().String()
	for address, want := range map[string]string{
		at:               `listen on "` + at + `": address already in use: end the process that has it, or set another listen`,
		"192.0.2.1:8025": `listen on "192.0.2.1:8025": cannot assign requested address: set listen to an address of this machine`,
	} {
		listener, err := listenTCP(address)
		if err == nil {
			listener.Close()
			t.Fatalf("it listens on %q", address)
		}
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

// Command gen compiles the numbering plans of the world, as the metadata of
// github.com/nyaruka/phonenumbers has them, into the tables of package contact. It runs by
// "go generate ./internal/contact"; its test fails while the tables aren't its output.
//
// All patterns of a calling code become one automaton over the digits of the national number. The
// automaton has no cycles, because numbers have a greatest length, so it is minimal once equal states
// are shared. The regions of a calling code are one: a number is valid if it is valid in any of them.
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"log"
	"os"

	"github.com/nyaruka/phonenumbers"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: gen FILE.go")
	}
	source, err := generate()
	if err != nil {
		log.Fatalf("generate tables: %v", err)
	}
	if err := os.WriteFile(os.Args[1], source, 0o644); err != nil {
		log.Fatalf("write tables: %v", err)
	}
}

// generate returns the Go source of the tables.
func generate() ([]byte, error) {
	metadata, err := phonenumbers.MetadataCollection()
	if err != nil {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	codes := callingCodes(metadata.GetMetadata())
	table := newTable()
	for _, c := range codes {
		if err := table.add(c); err != nil {
			return nil, fmt.Errorf("calling code %s: %w", c.digits, err)
		}
	}
	var b bytes.Buffer
	if err := write(&b, table, codes); err != nil {
		return nil, err
	}
	return format.Source(b.Bytes())
}

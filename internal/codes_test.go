package internal_test

import (
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// An error code in a report leads to a place on the partners' page.
func TestErrorCodesHaveAnAnchor(t *testing.T) {
	page, err := os.ReadFile("../inbox/README.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := errorCodes(t)
	if len(codes) < 50 {
		t.Fatalf("%d codes were found, want at least 50", len(codes))
	}
	for code, where := range codes {
		if !strings.Contains(string(page), `<a id="`+code+`"></a>`) {
			t.Errorf("%s: the code %q has no row in the table of inbox/README.md: add | <a id=%q></a>`%s` | what the report says | what to do |", where, code, code, code)
		}
	}
}

// errorCodes returns the string literals that have the form of a code, with their files, in the
// rooms that judge drops.
func errorCodes(t *testing.T) map[string]string {
	t.Helper()
	form := regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`)
	others := []string{"opt-out", "sub-total", "encoding-csv", "e-mail"}
	codes := map[string]string{}
	for _, room := range []string{"intake", "watch", "plan", "contact"} {
		for path, file := range sources(t, token.NewFileSet(), room) {
			if strings.Contains(path, "/gen/") {
				continue
			}
			for n := range ast.Preorder(file) {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if text, err := strconv.Unquote(lit.Value); err == nil && form.MatchString(text) && !slices.Contains(others, text) {
						codes[text] = path
					}
				}
			}
		}
	}
	return codes
}

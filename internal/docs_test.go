package internal_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages returns the names of the files that match patterns, relative to the root of the repository.
func pages(t *testing.T, patterns ...string) []string {
	t.Helper()
	var all []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join("..", pattern))
		switch {
		case err != nil:
			t.Fatalf("no file matches %s: %v", pattern, err)
		case len(found) == 0:
			t.Fatalf("no file matches %s: len(found) is 0", pattern)
		}
		for _, name := range found {
			all = append(all, strings.TrimPrefix(name, "../"))
		}
	}
	return all
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// anchor returns the fragment that a heading gets on a web page.
func anchor(heading string) string {
	heading = strings.ToLower(strings.Trim(heading, "# "))
	return strings.ReplaceAll(regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(heading, ""), " ", "-")
}

func TestLinksOfPagesLeadSomewhere(t *testing.T) {
	checkLinks(t, "..", pages(t, "*.md", "docs/*.md", "docs/decisions/*.md", "inbox/*.md"))
}

// TestLinksOfInstalledPagesLeadSomewhere checks the pages as the packages install them, or the folder
// CAMPAIGND_PAGES of an unpacked package.
func TestLinksOfInstalledPagesLeadSomewhere(t *testing.T) {
	root := os.Getenv("CAMPAIGND_PAGES")
	if root == "" {
		root = filepath.Join(t.TempDir(), "doc")
		cmd := exec.Command("sh", "packaging/pages.sh", root)
		cmd.Dir = ".."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("packaging/pages.sh: %v\n%s", err, out)
		}
	}
	var installed []string
	for _, pattern := range []string{"*.md", "decisions/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no file matches %s in %s: %v", pattern, root, err)
		}
		for _, path := range found {
			installed = append(installed, strings.TrimPrefix(path, root+"/"))
		}
	}
	checkLinks(t, root, installed)
}

// checkLinks reports the links of pages below root that lead to no file or to no heading of it.
func checkLinks(t *testing.T, root string, pages []string) {
	t.Helper()
	link := regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	heading := regexp.MustCompile(`(?m)^#+ .*$`)
	text := func(name string) string {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, page := range pages {
		for _, m := range link.FindAllStringSubmatch(text(page), -1) {
			target := page
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(page), m[1])
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: link to %s: %v", page, m[1], err)
				continue
			}
			if m[2] == "" {
				continue
			}
			if !slices.ContainsFunc(heading.FindAllString(text(target), -1), func(h string) bool { return anchor(h) == m[2] }) {
				t.Errorf("%s: %s has no heading #%s", page, target, m[2])
			}
		}
	}
}

func TestDecisionsHaveUniqueNumbers(t *testing.T) {
	seen := map[string]string{}
	for _, page := range pages(t, "docs/decisions/*.md") {
		number, _, _ := strings.Cut(filepath.Base(page), "-")
		if other := seen[number]; other != "" {
			t.Errorf("%s and %s have one number", other, page)
		}
		seen[number] = page
		text := read(t, page)
		if want := "# " + strings.TrimLeft(number, "0") + ". "; !strings.HasPrefix(text, want) {
			t.Errorf("%s begins %.12q, want %q", page, text, want)
		}
		for _, part := range []string{"**Decided.**", "**Why.**", "**Rejected.**"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s has no %s", page, part)
			}
		}
	}
}

// Comments cite sections by number, so the numbers must stay what they are.
func TestContractKeepsItsSections(t *testing.T) {
	want := []string{"1. Words", "2. Drops", "3. Layout", "4. CSV", "5. Sidecar", "6. Campaigns and applications", "7. Planning",
		"8. Sending", "9. What is left in the folder", "10. Control", "11. Configuration", "12. Promises", "13. More than one machine"}
	got := regexp.MustCompile(`(?m)^## ([^(\n]*[^ (\n])`).FindAllStringSubmatch(read(t, "docs/contract.md"), -1)
	if len(got) != len(want) {
		t.Fatalf("%d sections, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i][1] != want[i] {
			t.Errorf("section %q, want %q", got[i][1], want[i])
		}
	}
}

// TestArchitecturePageKnowsEveryImport compares the page's table of packages with the imports that there are.
func TestArchitecturePageKnowsEveryImport(t *testing.T) {
	name := regexp.MustCompile("`([^`]+)`")
	table := map[string][]string{}
	for line := range strings.Lines(read(t, "docs/architecture.md")) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		var imports []string
		for _, m := range name.FindAllStringSubmatch(cells[3], -1) {
			imports = append(imports, m[1])
		}
		for _, m := range name.FindAllStringSubmatch(cells[1], -1) {
			table[m[1]] = imports
		}
	}
	all := moduleImports(t)
	for pkg, imports := range imports(all) {
		listed, ok := table[pkg]
		if isDriver(all, pkg) { // one row for all: they may import the same
			listed, ok = slices.DeleteFunc(slices.Clone(table["send/<driver>"]), func(one string) bool { return !slices.Contains(imports, one) }), true
		}
		if !ok {
			t.Errorf("docs/architecture.md has no package %s", pkg)
		}
		for _, one := range imports {
			if pkg != "daemon" && pkg != "send/drivers" && !slices.Contains(listed, one) {
				t.Errorf("docs/architecture.md: %s imports %s", pkg, one)
			}
		}
		for _, one := range listed {
			if !slices.Contains(imports, one) {
				t.Errorf("docs/architecture.md: %s doesn't import %s", pkg, one)
			}
		}
	}
}

// imports returns the packages of internal/ with those of internal/ that each imports.
func imports(module map[string][]string) map[string][]string {
	all := map[string][]string{}
	for path, imported := range module {
		pkg, ok := strings.CutPrefix(path, prefix)
		if !ok {
			continue
		}
		all[pkg] = nil
		for _, path := range imported {
			if one, ok := strings.CutPrefix(path, prefix); ok {
				all[pkg] = append(all[pkg], one)
			}
		}
	}
	return all
}

// TestWalksNameFunctionsThatThereAre holds the walks of the architecture page to the code.
func TestWalksNameFunctionsThatThereAre(t *testing.T) {
	step := regexp.MustCompile("`([a-z/_]+\\.go)` `([A-Za-z]+\\.)?([A-Za-z]+)`")
	steps := step.FindAllStringSubmatch(read(t, "docs/architecture.md"), -1)
	if len(steps) < 30 {
		t.Errorf("found %d steps, want five walks of them", len(steps))
	}
	for _, m := range steps {
		text := read(t, "internal/"+m[1])
		want := "func " + m[3] + "("
		if m[2] != "" {
			want = `func \(\w+ \*?` + strings.TrimSuffix(m[2], ".") + `\) ` + m[3] + `\(`
		} else {
			want = regexp.QuoteMeta(want)
		}
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("docs/architecture.md: internal/%s has no function %s%s", m[1], m[2], m[3])
		}
	}
}

// TestArchitecturePageNamesFilesThatThereAre holds the recipes of the architecture page to the tree: the
// files, and what is named in parentheses after one.
func TestArchitecturePageNamesFilesThatThereAre(t *testing.T) {
	file := regexp.MustCompile("`([a-z_/-]+/[a-z_-]+\\.[a-z]+)`(?: \\(([^)]*)\\))?")
	name := regexp.MustCompile("`([A-Za-z]+)`")
	found := file.FindAllStringSubmatch(read(t, "docs/architecture.md"), -1)
	if len(found) < 60 {
		t.Errorf("found %d files, want at least 60", len(found))
	}
	for _, m := range found {
		path := m[1]
		if _, err := os.Stat(filepath.Join("..", path)); err != nil {
			path = filepath.Join("internal", path)
		}
		data, err := os.ReadFile(filepath.Join("..", path))
		if err != nil {
			t.Errorf("docs/architecture.md names %s: %v", m[1], err)
			continue
		}
		for _, n := range name.FindAllStringSubmatch(m[2], -1) {
			if !regexp.MustCompile(`\b` + n[1] + `\b`).Match(data) {
				t.Errorf("docs/architecture.md: %s has no %s", path, n[1])
			}
		}
	}
}

package main

import (
	"context"
	"path/filepath"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/optouts"
)

// checkedOptOuts is the answer of "check NAME.suppress.csv --json".
type checkedOptOuts struct {
	Taken    bool               `json:"taken"` // false: nobody in it would be opted out
	Rows     int                `json:"rows"`
	Rejected int                `json:"rejected"`
	Problems []campaign.Problem `json:"problems,omitempty"`
	Answer   string             `json:"answer"` // as the report in the inbox
}

// checkOptOuts prints the answer that a list of opt-outs would get in the inbox.
func checkOptOuts(ctx context.Context, env *environment, cfg *config.Config, in *config.Inbox, path string) error {
	f, err := openNamed(path)
	if err != nil {
		return exitError{exitUsage, err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var done optouts.Result
	list, refused := optouts.New(cfg, in, filepath.Base(path), info.Size())
	if refused == "" {
		if done, err = list.Import(ctx, nil, f); err != nil {
			return err
		}
	}
	answer, taken := list.Answer(done, refused)
	if env.json {
		err = env.printJSON(checkedOptOuts{taken, done.Rows, done.Refused, done.Problems.List, answer})
	} else {
		err = env.printf("%s\n", answer)
	}
	if err == nil && (!taken || done.Refused > 0) {
		return exitError{code: exitProblems}
	}
	return err
}

package recipients

import "campaignd/internal/campaign"

// previewRow is the row of Spec.PreviewRow, once it has been read.
type previewRow struct {
	line    uint32 // on which it begins, 0 before
	refusal *campaign.Refusal
}

// find notes the row's line if it is in c, before which there were that many data rows.
func (p *previewRow) find(wanted, before uint32, c *Checked) {
	if wanted <= before || wanted > before+c.Total {
		return
	}
	good, bad := c.Rows.Lines, c.Refusals // both in the order of the file
	for range wanted - before {
		if len(bad) == 0 || len(good) > 0 && good[0] < bad[0].Line {
			if len(good) == 0 {
				return // the batch's rows are not all known
			}
			p.line, good = good[0], good[1:]
			continue
		}
		p.line, bad = bad[0].Line, bad[1:]
	}
}

// refusedIn notes why the row isn't sent, if it is one of list.
func (p *previewRow) refusedIn(list []campaign.Refusal) {
	for i := range list {
		if p.line > 0 && p.refusal == nil && list[i].Line == p.line {
			refusal := list[i]
			p.refusal = &refusal
		}
	}
}

// PreviewRow returns the line of the row of Spec.PreviewRow, 0 if there is no such row, and
// its refusal, nil if it is sent.
func (a *Assembler) PreviewRow() (line uint32, refusal *campaign.Refusal) {
	return a.previewRow.line, a.previewRow.refusal
}

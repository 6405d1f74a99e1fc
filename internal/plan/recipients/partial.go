package recipients

import (
	"campaignd/internal/campaign"
	"campaignd/internal/plan/csvfile"
)

// Partial checks the rows of a drop that is rejected anyway, so that all of its errors are
// reported together (docs/contract.md 5). It checks as much of each row as the valid
// parts of layout and campaign allow. Nothing is rendered, stored or de-duplicated.
type Partial struct {
	checker          *Checker
	contact, channel bool // whether these are checked
}

// NewPartial prepares a Partial. Of spec only File and Columns are needed: without a
// Layout, with one whose variables are no columns, or without Channels, less is checked.
func NewPartial(spec Spec) *Partial {
	p := &Partial{checker: &Checker{spec: spec}}
	if spec.Layout == nil {
		return p
	}
	var err error
	if p.checker.contact, err = compile(spec.Layout.ContactCode, spec.Columns); err == nil {
		p.contact = spec.Layout.ContactCode.Given()
	}
	if p.checker.channel, err = compile(spec.Layout.ChannelType, spec.Columns); err == nil {
		p.channel = spec.Layout.ChannelType.Given() && len(spec.Channels) > 0
	}
	return p
}

// Check returns the fault of record i of batch, which is reader's; false if none was found.
func (p *Partial) Check(reader *csvfile.Reader, batch *csvfile.Batch, i int) (campaign.Problem, bool) {
	why := p.row(reader, batch, i)
	if why == nil {
		return campaign.Problem{}, false
	}
	one := campaign.Problem{Code: why.code, File: p.checker.spec.File, Line: int(batch.Line(i)), Field: why.column, Message: why.reason}
	if why.cell >= 0 {
		one.Column = reader.Position(batch, i, why.cell)
	}
	return one, true
}

func (p *Partial) row(reader *csvfile.Reader, batch *csvfile.Batch, i int) *refusal {
	switch fault, _ := batch.Fault(i); fault {
	case csvfile.FaultNone:
	case csvfile.FaultDelimiter:
		return nil // the cells of a row depend on the layout, which may be at fault
	default:
		return p.checker.fault(reader, batch, i)
	}
	var scratch []byte
	if p.contact {
		if code, reason := contactReason(trimSpaces(p.checker.contact.value(&scratch, batch, i))); reason != "" {
			return &refusal{code: code, column: p.checker.contact.column, reason: reason, cell: p.checker.contact.first}
		}
	}
	if p.channel {
		channel := trimSpaces(p.checker.channel.value(&scratch, batch, i))
		if !p.checker.allows(channel) {
			code, reason := p.checker.channelReason(channel)
			return &refusal{code: code, column: p.checker.channel.column, reason: reason, cell: p.checker.channel.first}
		}
	}
	return nil
}

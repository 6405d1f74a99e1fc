package recipients

import (
	"campaignd/internal/campaign"
	"campaignd/internal/plan/csvfile"
)

// Partial checks the rows of a drop that is rejected whatever they hold, so that all of
// its errors are told together (docs/contract.md 5): as much of each row as can be checked with
// what was understood of the layout and the campaign. Nothing is rendered, kept or de-duplicated.
type Partial struct {
	checker          *Checker
	contact, channel bool // what is checked beyond the number of cells
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

// Check is what is wrong with record i of batch; false if nothing is, as far as can be told.
// batch is reader's.
func (p *Partial) Check(reader *csvfile.Reader, batch *csvfile.Batch, i int) (campaign.Problem, bool) {
	why := p.row(batch, i)
	if why.reason == "" {
		return campaign.Problem{}, false
	}
	one := campaign.Problem{File: p.checker.spec.File, Line: int(batch.Line(i)), Field: why.column, Message: why.reason}
	if why.cell >= 0 {
		one.Column = reader.Position(batch, i, why.cell)
	}
	return one, true
}

func (p *Partial) row(batch *csvfile.Batch, i int) refusal {
	switch fault, detail := batch.Fault(i); fault {
	case csvfile.FaultNone:
	case csvfile.FaultDelimiter:
		return refusal{} // how a row is cut depends on the layout, which may be what is wrong
	default:
		return p.checker.fault(fault, detail)
	}
	var scratch []byte
	if p.contact {
		if reason := contactReason(trimSpaces(p.checker.contact.value(&scratch, batch, i))); reason != "" {
			return refusal{column: p.checker.contact.column, reason: reason, cell: p.checker.contact.first}
		}
	}
	if p.channel {
		channel := trimSpaces(p.checker.channel.value(&scratch, batch, i))
		if !p.checker.allows(channel) {
			return refusal{column: p.checker.channel.column, reason: p.checker.channelReason(channel), cell: p.checker.channel.first}
		}
	}
	return refusal{}
}

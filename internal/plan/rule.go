package plan

import (
	"fmt"

	"campaignd/internal/campaign"
)

// conditionRule is what a slicing condition means.
type conditionRule struct {
	// choose returns the stretch [from, to) of slots to use, and how many of the recipients fit into
	// it. If not all fit, it returns the stretch that holds the most.
	choose      func(r slotRoom, recipients uint32) (from, to int, held uint32)
	consecutive bool // a slot without room ends the stretch
	atOnce      bool // the stretch begins at T
}

// ruleOf returns the rule of a condition.
func ruleOf(c campaign.Condition) (conditionRule, error) {
	switch c {
	case campaign.FragmentedSlots:
		return conditionRule{choose: slotRoom.fragmented}, nil
	case campaign.ImmediateConsecutiveSlots:
		return conditionRule{choose: slotRoom.immediate, consecutive: true, atOnce: true}, nil
	case campaign.DeferredConsecutiveSlots:
		return conditionRule{choose: slotRoom.deferred, consecutive: true}, nil
	}
	return conditionRule{}, fmt.Errorf("%w %q", ErrUnknownCondition, c)
}

func (r slotRoom) fragmented(recipients uint32) (from, to int, held uint32) {
	return 0, len(r.slots), sumRoom(r.slots, recipients)
}

func (r slotRoom) immediate(recipients uint32) (from, to int, held uint32) {
	if len(r.slots) > 0 && r.slots[0] == 0 && r.whole > 0 {
		from = 1 // T's slot is nearly over: the run begins at the next one
	}
	to = r.runEnd(from)
	return from, to, sumRoom(r.slots[from:to], recipients)
}

func (r slotRoom) deferred(recipients uint32) (from, to int, held uint32) {
	for start := 0; start < len(r.slots); {
		end := r.runEnd(start)
		if n := sumRoom(r.slots[start:end], recipients); n > held {
			from, to, held = start, end, n
		}
		if held == recipients {
			break
		}
		start = end + 1 // the slot at end has no room
	}
	return from, to, held
}

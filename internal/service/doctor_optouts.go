package service

import (
	"fmt"

	"campaignd/internal/api"
	"campaignd/internal/contact"
	"campaignd/internal/display"
	"campaignd/internal/store"
)

// doctorOptOuts is the number of opt-outs up to which doctor looks at each of them without --deep.
const doctorOptOuts = 1_000_000

// optOutFindings reports opt-outs and replies that can't be matched to anybody, without their contacts.
func (svc *Service) optOutFindings(deep bool) (list findings, err error) {
	total, err := svc.Store.OptOuts()
	if err != nil {
		return nil, err
	}
	list.add("opt-outs", api.LevelOK, fmt.Sprintf("%s are in force", display.Number(total)), "")
	if deep || total <= doctorOptOuts {
		more, err := svc.unmatchedOptOuts()
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	deleted, since, waiting, err := svc.Store.UnmatchedReplies()
	if err != nil {
		return nil, err
	}
	if deleted > 0 {
		list.add("replies", api.LevelOK, fmt.Sprintf("%s since %s belong to no sending and were deleted", display.Number(deleted), display.UTC(since)), "")
	}
	if waiting > 0 {
		list.add("replies", api.LevelOK, fmt.Sprintf("%s wait for their sending, or for the number of a user id", display.Number(waiting)), "")
	}
	return list, nil
}

// unmatchedOptOuts looks at every opt-out.
func (svc *Service) unmatchedOptOuts() (list findings, err error) {
	c := svc.Config()
	refusals := map[int64]func(string, []byte) string{}
	strange, from, alone := 0, "", 0
	err = svc.Store.EachOptOut(0, func(o store.OptOut) error {
		refusal := refusals[o.ApplicationID]
		if refusal == nil {
			refusal = c.OptOutContacts([]int64{o.ApplicationID})
			refusals[o.ApplicationID] = refusal
		}
		switch {
		case contact.IsUserID([]byte(o.ContactCode)):
			known, err := svc.Store.ContactOfUserID(o.ContactCode)
			if err == nil && known == "" {
				alone++
			}
			return err
		case refusal(o.ChannelType, []byte(o.ContactCode)) != "":
			strange++
			from = fmt.Sprintf("application %d, from %s", o.ApplicationID, o.Source)
		}
		return nil
	})
	if strange > 0 {
		list.add("opt-outs", api.LevelWarn, fmt.Sprintf("%s match nobody, because they are not contacts of their channels; the last is of %s", display.Number(strange), from),
			"find them with: campaignd suppress list; add them again as the channel's contacts are written")
	}
	if alone > 0 {
		list.add("opt-outs", api.LevelOK, fmt.Sprintf("%s are user ids whose number isn't known; they count for the number as soon as a receipt tells it", display.Number(alone)), "")
	}
	return list, err
}

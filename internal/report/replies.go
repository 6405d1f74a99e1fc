package report

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"time"

	"campaignd/internal/campaign"
)

// RepliesHeader is the first line of replies.csv (docs/contract.md 9).
const RepliesHeader = "at,line,contactCode,reference,type,text\n"

// writeReplies writes replies.csv: what recipients answered, in order of arrival. Cells are
// quoted and guarded as in results.csv.
func writeReplies(w io.Writer, l Source, id campaign.ID) error {
	b := bufio.NewWriter(w)
	b.WriteString(RepliesHeader) // Flush returns its error
	var line []byte
	err := l.EachReply(id, func(r campaign.Reply) error {
		line = toInstant(r.At).AppendFormat(line[:0], time.RFC3339Nano)
		line = strconv.AppendUint(append(line, ','), uint64(r.Line), 10)
		for _, cell := range []string{r.ContactCode, r.Reference, r.Type, r.Text} {
			line = appendCell(append(line, ','), cell, true)
		}
		_, err := b.Write(append(line, '\n'))
		return err
	})
	if err == nil {
		err = b.Flush()
	}
	if err != nil {
		return fmt.Errorf("write replies to %s: %w", id, err)
	}
	return nil
}

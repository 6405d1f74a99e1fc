package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/textproto"
)

// transact sends an email. It calls accepted once the server has accepted the recipient.
func (cn *conn) transact(from string, e *email, accepted func()) *failure {
	if failed := cn.envelope(from, e, accepted); failed != nil {
		return failed
	}
	return cn.content(e.data)
}

// envelope does MAIL, RCPT and DATA. If the server offers PIPELINING (RFC 2920), they are written at
// once and cost one round trip.
func (cn *conn) envelope(from string, e *email, accepted func()) *failure {
	mail := "MAIL FROM:<" + from + ">"
	if cn.eight {
		mail += " BODY=8BITMIME"
	}
	if e.utf8 { // requested without need, it makes later servers refuse the message
		mail += " SMTPUTF8"
	}
	var refused *failure
	replies := 0 // to commands that are written but not answered
	for _, command := range []struct {
		step   step
		text   string
		expect int
	}{{stepSender, mail, 250}, {stepRecipient, "RCPT TO:<" + e.to + ">", 25}, {stepData, "DATA", 354}} {
		if replies == 0 {
			texts := []string{command.text}
			if cn.piped && command.step == stepSender {
				texts = []string{mail, "RCPT TO:<" + e.to + ">", "DATA"}
			}
			if err := cn.write(texts...); err != nil {
				return &failure{step: command.step, err: err}
			}
			replies = len(texts)
		}
		err := cn.readReply(command.expect)
		replies--
		switch {
		case err == nil && command.step == stepRecipient && refused == nil:
			accepted()
		case err == nil && command.step == stepData && refused != nil:
			cn.abandon()
		case err != nil && refused == nil:
			refused = &failure{step: command.step, err: err}
		}
		if refused != nil && (replies == 0 || !isReply(err)) {
			return refused
		}
	}
	return refused
}

// abandon ends the data of a transaction that has no recipient, as RFC 2920, 3.1 asks. The server
// refuses it.
func (cn *conn) abandon() {
	if cn.write(".") == nil {
		_ = cn.readReply(250) // whatever it says, there was no recipient
	}
}

// isReply reports whether err is nil or a reply of the server, so that the next one can be read.
func isReply(err error) bool {
	var reply *textproto.Error
	return err == nil || errors.As(err, &reply)
}

// content writes the data and reads the final reply.
func (cn *conn) content(data []byte) *failure {
	if cn.tracer != nil {
		cn.tracer(false, data)
	}
	w := cn.client.Text.W
	wrote := writeDotStuffed(w, data)
	if wrote == nil {
		wrote = w.Flush()
	}
	// After a failed write the end of the data can't be sent. The server may have replied before it closed.
	truncated := wrote != nil || cn.wire.broken.Load()
	err := cn.readReply(250)
	var reply *textproto.Error
	switch {
	case err == nil && !truncated:
		return nil
	case errors.As(err, &reply):
		return &failure{step: stepEnd, err: err, truncated: truncated}
	case truncated:
		if wrote != nil {
			err = wrote
		}
		return &failure{step: stepContent, err: err, truncated: true}
	}
	return &failure{step: stepEnd, err: err}
}

// write writes commands, each on a line.
func (cn *conn) write(commands ...string) error {
	w := cn.client.Text.W
	for _, command := range commands {
		if cn.tracer != nil {
			cn.tracer(false, []byte(command+"\n"))
		}
		_, _ = w.WriteString(command) // Flush returns its error
		_, _ = w.WriteString("\r\n")
	}
	return w.Flush()
}

// writeDotStuffed writes data with CRLF line ends, a dot before each leading dot, and the end of the
// data (RFC 5321, 4.5.2).
func writeDotStuffed(w *bufio.Writer, data []byte) error {
	for len(data) > 0 {
		line := data
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line = data[:i+1]
		}
		data = data[len(line):]
		if line[0] == '.' {
			_ = w.WriteByte('.')
		}
		_, _ = w.Write(bytes.TrimRight(line, "\r\n"))
		_, _ = w.WriteString("\r\n")
	}
	_, err := w.WriteString(".\r\n") // a bufio.Writer returns its first error from then on
	return err
}

// readReply reads a reply (RFC 5321, 4.2). It returns nil if the code begins with the digits of expect,
// otherwise a *textproto.Error, or an error of the connection or the protocol.
func (cn *conn) readReply(expect int) error {
	r := cn.client.Text.R
	if line, err := r.Peek(4); err == nil && cn.tracer == nil && line[3] == ' ' {
		if code, ok := replyCode(line); ok && expected(code, expect) {
			return discardLine(r)
		}
	}
	code, text, err := cn.client.Text.ReadResponse(0)
	if cn.tracer != nil && err == nil {
		cn.tracer(true, fmt.Appendf(nil, "%d %s\n", code, text))
	}
	if err == nil && !expected(code, expect) {
		return &textproto.Error{Code: code, Msg: text}
	}
	return err
}

// replyCode parses the code that a line begins with.
func replyCode(line []byte) (int, bool) {
	code := 0
	for _, b := range line[:3] {
		if b < '0' || b > '9' {
			return 0, false
		}
		code = 10*code + int(b-'0')
	}
	return code, code >= 100
}

// expected reports whether code begins with the digits of want.
func expected(code, want int) bool {
	return code == want || want < 100 && code/10 == want
}

// discardLine skips the rest of a line of any length.
func discardLine(r *bufio.Reader) error {
	for {
		_, err := r.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

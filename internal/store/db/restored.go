package db

import "fmt"

// A restored file lacks everything that happened after the copy was taken. It is recognized by one
// of these, in this order:
//
//   - the trailer that Backup writes, whatever the copy's name;
//   - an empty file next to it, made by a person (a snapshot of a whole machine shows nothing else);
//   - its epoch: the file was in a cluster, and nobody has looked whether another hub has gone on since;
//   - its generation file: the file is an older copy, or another one than the last one here.
type restored struct {
	why  string     // see Restored
	past generation // of the file that was here
	end  *trailer   // nil: it isn't a backup
}

// Restored completes the sentence "the store was restored …". It is "" if the file wasn't restored.
// Every start finds a restored file again until Renew.
func (d *DB) Restored() string { return d.restored.why }

// checkRestored finds out whether the file was restored.
func (d *DB) checkRestored(end *trailer) error {
	past, err := readGeneration(d.path)
	if err != nil {
		return err
	}
	var now generation
	some, replicated := false, false
	if err := d.View(func(t *Tx) error {
		first, _ := t.Bucket(d.schema.Numbered).Cursor().First()
		now, some = t.generation(), first != nil
		replicated = t.position().Epoch != 0
		return nil
	}); err != nil {
		return err
	}
	d.openGeneration(past)
	why := past.behind(now, some)
	switch {
	case end != nil && end.at.IsZero():
		why = "as the file beside it says"
	case end != nil:
		why = fmt.Sprintf("from a backup of %s", end.at.Format("2006-01-02 15:04:05 UTC"))
	case replicated && !d.opts.Checked:
		why = "as a copy that no log in NATS confirms"
	case why == "" && now.last < past.last: // created after a loss: the lost file's numbers stay used
		return d.Update(func(t *Tx) error { return t.Bucket(d.schema.Numbered).SetSequence(past.last) })
	case why == "":
		d.writeGeneration(now)
		return nil
	}
	d.restored = restored{why: why, past: past, end: end}
	return nil
}

// Renew makes a restored file another one than that of which it is a copy: it gets a new tag, and
// numbers up to last, and those that are known to have been used since, are never given out again.
func (t *Tx) Renew(last uint64) error {
	d := t.db
	meta, numbered := t.Bucket(Meta), t.Bucket(d.schema.Numbered)
	if err := meta.SetSequence(max(meta.Sequence(), d.restored.past.count)); err != nil {
		return err
	}
	if err := numbered.SetSequence(max(numbered.Sequence(), last, d.restored.past.last)); err != nil {
		return err
	}
	if !d.opts.Checked {
		if err := meta.Delete(metaEpoch); err != nil {
			return err
		}
	}
	tag, err := newTag(meta)
	t.After(func() { d.tag = tag })
	return err
}

// ForgetBackup removes what shows that the file is a backup, once Renew is durable.
func (d *DB) ForgetBackup() error {
	if d.restored.end == nil {
		return nil
	}
	return removeTrailer(d.path, *d.restored.end)
}

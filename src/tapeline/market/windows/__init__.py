"""Event-time windows over any events: a pure operator, `(state, batch) → (state, windows and late records)`.

A window is a span of event time, right-open, of one key (by default the instrument).

    tumbling(size)        [k·size, (k+1)·size)                                   each record in one window
    sliding(size, step)   [k·step, k·step + size)                                each record in size / step windows
    session(gap)          records less than `gap` apart; [first, last + gap)     grows and joins while records come

**When it closes.** The mark of a key is the latest event time it has seen, nothing taken off, or our clock less the key's
smallest lag (ts_recv − ts_event) and a grace, whichever is later. A window closes when the mark reaches its end: by the key's
own next record or, when the key is silent, by the receive time of any other event, or by the live clock (`advance`). Those
timers fire in the order in which they are due, before the event that shows they are due, and bear the time they were due: so
what comes out does not depend on who moved the clock, on batches, nor on whether it is live or replayed.

**Late.** A window takes records until the mark is `lateness` past its end. One that comes after the window closed and within
that revises it: it is given out again with `revision` + 1. One that a window takes no more comes out as `Late`, once, with the
windows it would have belonged to; of a sliding window's, those that are still taken revise all the same. With a session, a late
record may join two sessions: the one whose `start` is no session's any more is given out again as `retracted`.

**Complete.** Holes are told by Status events (gap, disconnected, a new session), as spans of event time from the last record
before to the first one after. A window that one touches is not complete; nor is the one that the feed began inside, nor one
given out by `finish` before its end. A hole whose records were fetched after all is mended, and what was given out comes again,
complete.

**Exact.** Records are gathered a few hundred at a time and folded with NumPy. Sums are of whole numbers (market/exact.py) and
so do not depend on the order or the grouping; `first` and `last` go by event time, ties by arrival. Sliding windows are merged
out of panes of gcd(size, step), each record kept in one.

Files: `kinds` what windows there are, `results` what comes out, `cells` what is added up, `aggregates` what is made of that,
`panes` a stretch of one key, `grid` and `sessions` the windows of one key, `holes` what is missing of an instrument, `operator`
all keys.
"""

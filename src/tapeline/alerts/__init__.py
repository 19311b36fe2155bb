"""Alerts: rules that watch the events, and how one is told.

    language, engine     what a rule means and when it is true: pure, from events to `Alert`s
    watch                the engine beside a live session, or over a recording (backtest)
    store                `alerts.sqlite` beside the data: added rules, each rule's state, the history, the outbox
    outbox, targets      what is still to be sent, and where to
    room                 all of it together, beside a session

Order of an alert: the engine says it; its history, the rule's state and what is to be sent are committed in one transaction; then
its ALERT frame goes onto the tape, from which the pipeline makes the event that sinks, page and replay see; then it is sent.
So a crash at any moment leaves either no alert, which is raised anew, or the whole of it, which is published and sent by the next
start.
"""

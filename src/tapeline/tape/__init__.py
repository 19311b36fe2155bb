"""The tape: the append-only journal of frames on disk, the source of truth.

`format` is the block on disk, `layout` where files lie and who may touch them, `segment` one file being written, `writer`
the journal of a running session, `blocks` the way through a file that may be damaged, `reader` what replays it, `sealing`
what compresses it, `checking` what proves it. docs/tape-format.md tells it to those who want to write their own reader.
"""

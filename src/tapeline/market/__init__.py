"""Books, their synchronisation, bars, metrics and stream quality. Pure: records in, events out; no clock, no I/O."""

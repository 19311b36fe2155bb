"""The recent past in memory, fed by the bus: events, samples of metrics, looks at books."""

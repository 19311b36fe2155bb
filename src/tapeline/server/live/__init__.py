"""What viewers watch: the hub, a feed for each thing watched, and the ways out to a socket or a stream of events."""

"""One file a venue: what to connect to, what to send, how to decode, how books begin and continue. Pure."""

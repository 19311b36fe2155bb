"""The only rooms that open sockets to venues: `supervisor` (WebSocket → frames) and `http` (questions → frames).

Nothing is imported here, so that naming a room does not load the others' libraries.
"""

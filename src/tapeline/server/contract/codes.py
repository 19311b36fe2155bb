"""Every error code of the API and the HTTP status it comes with. docs/api.md tells them in words; a test compares the three."""

CODES: dict[str, int] = {
    "bad_json": 400,
    "bad_parameter": 400,
    "bad_query": 400,
    "bad_rule": 400,
    "missing_parameter": 400,
    "query_too_big": 400,
    "unknown_parameter": 400,
    "unknown_target": 400,
    "unauthorized": 401,
    "embed_refused": 403,
    "host_refused": 403,
    "origin_refused": 403,
    "cannot_subscribe": 404,
    "no_lake": 404,
    "no_recording": 404,
    "no_replay": 404,
    "no_such_metric": 404,
    "no_such_rule": 404,
    "not_found": 404,
    "not_streaming": 404,
    "unknown_instrument": 404,
    "method_not_allowed": 405,
    "query_stopped": 408,
    "no_alerts": 409,
    "not_configured": 409,
    "not_live": 409,
    "too_many_replays": 409,
    "too_many_bins": 409,
    "too_many_rules": 409,
    "too_large": 413,
    "not_json": 415,
    "too_many_attempts": 429,
    "too_many_requests": 429,
    "internal_error": 500,
    "venue_error": 502,
    "busy": 503,
    "ending": 503,
    "lake_broken": 503,
    "no_book": 503,
    "no_stream": 503,
    "store_broken": 503,
    "tape_broken": 503,
    "too_many_viewers": 503,
}

EVERYWHERE = (
    "unauthorized", "host_refused", "origin_refused", "embed_refused", "too_large", "too_many_attempts", "too_many_requests",
    "internal_error", "busy",
)  # fmt: skip
"""What any request may meet, so that no operation names them."""

COUNTED = (
    "unauthorized", "host_refused", "origin_refused", "embed_refused", "not_found", "too_large", "too_many_attempts",
    "too_many_requests", "busy",
)  # fmt: skip
"""What the guard refuses by, and counts."""

SOCKET_ONLY: dict[str, int] = {"bad_call": 400, "not_subscribed": 400, "too_many_subscriptions": 400, "too_many_calls": 429}
"""Told in a reply on the WebSocket; their status is never sent."""

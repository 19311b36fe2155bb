"""Whether anything that a rule is of is streamed: one that waits for what nobody streams can never be raised, and should say so.

in front of it (`a:X, b:Y mid > 5`)       one of them is enough
inside of it (`a:X.mid > b:Y.mid`)        all of them are needed
nothing in front, or `binance:*`          whatever comes; likewise groups and the connections of a venue
"""

from collections.abc import Collection, Iterable
from functools import lru_cache

from tapeline.alerts.engine import shown
from tapeline.alerts.parsing import parse, parse_condition
from tapeline.alerts.syntax import names
from tapeline.errors import UsageError

MOST_KEPT = 2000


def is_streamed(rule: str, until: str, streamed: Collection[str]) -> bool:
    """`streamed`: ids as events bear them, or their real names. A text that cannot be read passes: whoever checks rules says why."""
    scope, inside = _wanted(rule, until)

    def there(name: str) -> bool:
        return name in streamed or shown(name) in streamed

    return (not scope or any(map(there, scope))) and all(map(there, inside))


@lru_cache(MOST_KEPT)
def _wanted(rule: str, until: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The instruments in front, none where any will do, and those inside."""
    try:
        sentence = parse(rule)
        ends = parse_condition(until) if until else sentence.until
    except UsageError:
        return (), ()
    found = [*names(sentence.condition), *([] if ends is None else names(ends))]
    scope = sentence.scope if len(_plain(sentence.scope)) == len(sentence.scope) else ()
    return scope, _plain(name.instrument for name in found if name.instrument)


def _plain(written: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(n for n in written if not n.endswith(("*", ":")) and not n.startswith("group:")))

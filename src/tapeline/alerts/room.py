"""Alerts beside a session: rules in, alerts out, and everything that must not be lost in between.

    watch ──take──▶ one transaction (history, states, outbox) ──▶ ALERT frames on the tape ──▶ events for sinks, page, replay
                                                              └──▶ the posts, one a target

The watch (`alerts.watch`) looks at the events and says what was raised; the room gives it the rules of the settings and those that
were added, with the state each had when the last session ended, and again whenever one is added, removed or muted, be it here or by
another process (`tapeline alerts add` writes the same file, which is looked at twice a second).

Committed before published: a crash leaves an alert whole or not at all. One that was committed and is not known to be on the tape
is published by the next start, with the same id. A store that cannot be written holds alerts back, up to MOST_HELD; the feed
goes on.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

from tapeline.alerts.keeper import Keeper
from tapeline.alerts.message import zone_of
from tapeline.alerts.names import check_name
from tapeline.alerts.outbox import STORE_PAUSE, Post
from tapeline.alerts.problems import option_of
from tapeline.alerts.store import Added, unusable
from tapeline.alerts.targets import Target, target, targets
from tapeline.clock import Clock
from tapeline.config import AlertsSettings, RuleSettings
from tapeline.errors import ConfigError, UsageError
from tapeline.events import Alert, to_json
from tapeline.frames import Frame, FrameKind

log = structlog.get_logger("tapeline.alerts")
MOST_HELD = 10_000
"""Alerts that wait for the store; past that they are counted as lost."""
LOOK_SECONDS = 0.5
CLOSE_SECONDS = 0.8


class Wanted(msgspec.Struct, frozen=True):
    """One rule as the watch gets it. `origin`: "settings" or "added"."""

    name: str
    settings: RuleSettings
    origin: str
    muted: bool = False


class Watch(Protocol):
    """The engine of rules beside a session. `take(alerts, states)` of the room is called with each batch of alerts that were raised
    or resolved and the states of the rules that changed, on the loop. `faults`: batches that it could not look at.
    """

    faults: int

    def check(self, rule: Wanted) -> None:
        """Raises UsageError where it is wrong."""
        ...

    def replace(self, rules: Sequence[Wanted], states: Mapping[str, bytes]) -> None:
        """From now on these rules are watched; one that was watched before, with the same settings, goes on from where it is,
        another from its state in `states`, if there is one. A muted rule raises nothing. All of them have been checked.
        """
        ...

    def states(self) -> dict[str, bytes]:
        """Of every rule, to be kept."""
        ...

    def rows(self) -> dict[str, dict[str, Any]]:
        """For the status, by rule: `state`, `since` (ns UTC), `value`, `raised` (how often)."""
        ...


class Room:
    """`await open()` looks whether all is right, `begin()` goes on once the tape takes frames; at the end `rest()` while it still
    does, and `close()`.

    `deliver` puts frames onto the tape and through the pipeline, and gives the seq of the last.
    """

    def __init__(
        self,
        data: Path,
        settings: AlertsSettings,
        clock: Clock,
        *,
        session: str,
        deliver: Callable[[list[Frame]], int],
        link: Callable[[], str] = str,
    ) -> None:
        self.settings, self.clock = settings, clock
        self.keeper = Keeper(data)
        self.posts: dict[str, Post] = {}
        self.watch: Watch | None = None
        self.lost = self.dropped = self.raised = self.resolved = 0
        self.error = ""
        self._session, self._deliver, self._link = session, deliver, link
        self._rules: dict[str, Wanted] = {}
        self._depths: dict[str, int] = {}
        self._raised: dict[str, set[str]] = {}  # rule → ids of its alerts that have not ended; "": some of an earlier session
        self._held: list[Alert] = []
        self._states: dict[str, bytes] = {}
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._changing = asyncio.Lock()

    # Life

    async def open(self, watch: Watch) -> None:
        """Raises ConfigError where a rule or a target of the settings is wrong, or the store is of another version."""
        self.watch = watch
        zone = zone_of(self.settings.time_zone)
        try:
            await self.keeper.open()
            added = await self.keeper.call(lambda store: store.rules())
            for one in await asyncio.to_thread(self._targets, added):
                self.posts[one.name] = Post(one, self.keeper.call, self.settings, self.clock, link=self._link, zone=zone)
            await self._replace(await self.keeper.call(lambda store: store.states()), strict=True)
            self._raised = {name: {""} for name, row in watch.rows().items() if row["state"] == "raised"}
        except (ConfigError, sqlite3.Error) as e:
            await self.close()
            raise unusable(self.keeper.data, e) if isinstance(e, sqlite3.Error) else e from None

    async def begin(self, reached: Mapping[str, int]) -> None:
        """Take up what an earlier session left. `reached`: the last seq on its tape of each. Raises ConfigError where the
        store cannot be written.
        """
        try:
            await self._take_up(reached)
        except sqlite3.Error as e:
            raise unusable(self.keeper.data, e) from None
        for post in self.posts.values():
            post.start()
        self._tasks = [
            asyncio.create_task(self._commit(), name="alerts"),
            asyncio.create_task(self._look(), name="alerts-look"),
        ]

    async def _take_up(self, reached: Mapping[str, int]) -> None:
        now, names = self.clock.now(), list(self.posts)
        await self.keeper.call(lambda store: store.revive(now))
        if stranded := await self.keeper.call(lambda store: store.strand(names)):
            log.warning("alerts wait for targets that there are no more: given up", alerts=stranded)
        await self._publish(await self.keeper.call(lambda store: store.unpublished(reached)))

    def _targets(self, added: Sequence[Added]) -> list[Target]:
        """In a thread: apprise takes a moment to import. A target that only an added rule names may be missing; that is said."""
        named = [name for rule in self.settings.rules.values() for name in rule.notify]
        found = targets(self.settings, named)
        for rule in added:
            for name in rule.settings.notify:
                if name not in found:
                    try:
                        found[name] = target(self.settings, name)
                    except ConfigError as e:
                        log.warning("a rule names a target that cannot be used", rule=rule.name, reason=str(e))
        return list(found.values())

    async def rest(self) -> None:
        """Look at nothing any more, and commit what was found, unless the disk hangs. The posts go on."""
        watch, self.watch = self.watch, None
        states = {} if watch is None else watch.states()  # of this moment: what the watch finds from here on is not taken
        for task in self._tasks:
            if task.get_name() != "alerts":  # what is being published is published, lest the next start does it again
                task.cancel()
        self._wake.set()
        with suppress(sqlite3.Error, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.gather(*self._tasks, return_exceptions=True)
                await self._write(states)
        if self._held:
            log.error("alerts could not be written down before the end", alerts=len(self._held))

    async def close(self) -> None:
        """What is not sent by now is sent by the next start."""
        await asyncio.gather(*(post.close(CLOSE_SECONDS) for post in self.posts.values()))
        await self.keeper.close()

    # Alerts

    def take(self, alerts: Sequence[Alert], states: Mapping[str, bytes]) -> None:
        """What the watch found, on the loop: kept until it is committed. What is found once the room rests is the end of the session
        itself, and no news.
        """
        if self.watch is None:
            return
        room = MOST_HELD - len(self._held)
        self.lost += max(0, len(alerts) - room)
        self._held += alerts[:room]
        self._states.update(states)
        for alert in alerts:
            self._follow(alert)
        if self._held or self._states:
            self._wake.set()

    def _follow(self, alert: Alert) -> None:
        """Which rules are raised now: followed here, because asking the watch is a walk over all that it watches."""
        on = self._raised.setdefault(alert.rule, set())
        if alert.state == "raised":
            self.raised += 1
            on.add(alert.id or "")
            return
        self.resolved += 1
        on.discard(alert.id or "")
        if "" in on and self.watch is not None and self.watch.rows().get(alert.rule, {}).get("state") != "raised":
            on.clear()

    async def _commit(self) -> None:
        while self.watch is not None:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._write()
            except sqlite3.Error as e:
                if not self.error:
                    log.error("alerts cannot be written down; they are held back", reason=str(e))  # noqa: TRY400  the reason is all
                self.error = f"the store: {e}"
                self._wake.set()
                await asyncio.sleep(STORE_PAUSE if self.watch is not None else 0)
            else:
                self.error = ""

    async def _write(self, more: Mapping[str, bytes] | None = None) -> None:
        """Commit what is held, then publish and send it."""
        held, states = list(self._held), {**self._states, **(more or {})}
        self._states = {}
        addressed = [(alert, self._addressed(alert)) for alert in held]
        now, bounds = self.clock.now(), self.settings
        try:
            self.dropped += await self.keeper.call(
                lambda store: store.commit(addressed, states, now, outbox=bounds.outbox, history=bounds.history)
            )
        except sqlite3.Error:
            self._states = {**states, **self._states}
            raise
        del self._held[: len(held)]
        if held:
            await self._publish(held)
            for post in self.posts.values():
                post.wake.set()
            await self._count()

    def _addressed(self, alert: Alert) -> list[str]:
        rule = self._rules.get(alert.rule)
        if rule is None:
            return []
        names = rule.settings.notify or self.settings.notify
        return [n for n in names if n in self.posts and self.posts[n].target.takes(alert, resolved=rule.settings.resolved)]

    async def _publish(self, alerts: Sequence[Alert]) -> None:
        if alerts:
            now = self.clock.now()
            seq = self._deliver([Frame(now, FrameKind.ALERT, 0, to_json(alert)) for alert in alerts])
            with suppress(sqlite3.Error):
                await self.keeper.call(lambda store: store.placed(alerts, self._session, seq))

    # Rules

    async def add(self, name: str, settings: RuleSettings) -> None:
        """Raises UsageError where the name is taken or the rule is wrong, ConfigError where a target is."""
        check_name(name)
        async with self._changing:
            if name in self._rules:
                raise UsageError(f"there is a rule {name} already")
            self._usable(name, settings)
            await self.keeper.call(lambda store: store.add(name, settings, self.clock.now()))
            await self._replace({})

    async def change(self, name: str, settings: RuleSettings) -> None:
        """Other settings for a rule that was added; it begins anew. Raises UsageError where there is none, it stands in the settings
        or the new one is wrong, ConfigError where a target is.
        """
        async with self._changing:
            self._rule(name)
            if name in self.settings.rules:
                raise UsageError(f"{name} stands in the settings: change it there, or mute it")
            self._usable(name, settings)
            await self.keeper.call(lambda store: store.change(name, settings))
            await self._replace({})

    def _usable(self, name: str, settings: RuleSettings) -> None:
        for wanted in settings.notify:
            if wanted not in self.posts:
                raise ConfigError(f"alerts.targets.{wanted}.url", None, f"there is no target {wanted}; {self._known()}")
        self.check(Wanted(name, settings, "added"))

    def check(self, rule: Wanted) -> None:
        """Raises UsageError where it is wrong."""
        check_name(rule.name)
        if self.watch is not None:
            self.watch.check(rule)

    def _known(self) -> str:
        return f"there are {', '.join(self.posts)}" if self.posts else "docs/alerts.md tells how to name one"

    async def remove(self, name: str) -> None:
        """Raises UsageError where there is no such rule, or it stands in the settings."""
        async with self._changing:
            self._rule(name)
            if name in self.settings.rules:
                raise UsageError(f"{name} stands in the settings: take it out there, or mute it")
            await self.keeper.call(lambda store: store.remove(name))
            await self._replace({})

    async def mute(self, name: str, *, on: bool) -> None:
        """Raises UsageError where there is no such rule."""
        async with self._changing:
            self._rule(name)
            await self.keeper.call(lambda store: store.mute(name, self.clock.now() if on else None))
            await self._replace({})

    def _rule(self, name: str) -> Wanted:
        rule = self._rules.get(name)
        if rule is None:
            raise UsageError(f"there is no rule {name}; there are {', '.join(self._rules) or 'none'}")
        return rule

    async def _replace(self, states: Mapping[str, bytes], *, strict: bool = False) -> None:
        """Have the watch look at what is wanted now. A rule of the settings that is wrong is raised where `strict`; an added one
        that cannot be used (another version wrote it) is left out and said.
        """
        added = await self.keeper.call(lambda store: store.rules())
        muted = await self.keeper.call(lambda store: store.muted())
        own = self.settings.rules
        wanted = [Wanted(name, rule, "settings", name in muted) for name, rule in own.items()]
        wanted += [Wanted(one.name, one.settings, "added", one.name in muted) for one in added if one.name not in own]
        good: dict[str, Wanted] = {}
        for one in wanted:
            try:
                self.check(one)
            except UsageError as e:
                if strict and one.origin == "settings":
                    option = option_of(e, one.settings)
                    raise ConfigError(f"alerts.rules.{one.name}.{option}", getattr(one.settings, option), str(e)) from None
                log.warning("a rule cannot be used", rule=one.name, reason=str(e))
            else:
                good[one.name] = one
        if self.watch is not None:
            self.watch.replace(list(good.values()), states)
        same = {name for name, one in good.items() if name in self._rules and self._rules[name].settings == one.settings}
        self._raised = {name: on for name, on in self._raised.items() if name in same}
        self._rules = good

    async def _look(self) -> None:
        """Rules that another process has added, removed or muted. Trouble is said once, until it is over."""
        told = False
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if await self.keeper.call(lambda store: store.changed()):
                    async with self._changing:
                        await self._replace({})
                await self._count()
                told = False
            except sqlite3.Error as e:
                if not told:
                    log.warning("the alerts' file cannot be read", reason=str(e))
                told = True

    async def _count(self) -> None:
        self._depths = await self.keeper.call(lambda store: store.depths())

    # What faces see

    def rules(self) -> list[dict[str, Any]]:
        """`name`, `rule`, `origin`, `muted`, its settings, and `state`, `since`, `value`, `raised` of the watch."""
        rows = {} if self.watch is None else self.watch.rows()
        unknown = {"state": "waiting", "since": 0, "value": None, "raised": 0}
        return [
            {"name": one.name, "origin": one.origin, "muted": one.muted, **msgspec.to_builtins(one.settings)}
            | unknown
            | rows.get(one.name, {})
            for one in self._rules.values()
        ]

    def status(self) -> dict[str, Any]:
        """`alerts` of `/api/v1/status`, times in ns."""
        return {
            "rules": len(self._rules),
            "raised_now": sorted(name for name, on in self._raised.items() if on and name in self._rules),
            "raised": self.raised,
            "resolved": self.resolved,
            "held": len(self._held),
            "lost": self.lost,
            "dropped": self.dropped,
            "error": self.error,
            "faults": 0 if self.watch is None else self.watch.faults,
            "targets": [post.row(self._depths.get(name, 0)) for name, post in self.posts.items()],
        }

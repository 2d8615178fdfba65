"""What the panel's process knows of the show, and who wants to be told.

    board = Board()
    board.take(Description(...)); board.take(Update(...))       # in the order in which the stage sent them
    listener = board.join(); await listener.wait(); listener.values

Listeners are woken and read what is new for them when they can: the newest value of each parameter, so that a slow one
holds nothing up and takes no memory. The event loop's thread.

What one page sets is shown to the others at once (`foresee`), before the show has said that it took it. Until the show
has heard of it, its own word on that parameter waits, as it may be older; then it counts, whatever was foreseen.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.panel.tree import Tree, changes
from engine.play.panel_messages import Description, Picture, Refusal, Update
from engine.show.params import Param, ParamError, Value

LOG_KEPT = 200  # lines
MOST_CHANGES = 64  # of addresses that are told one by one; beyond it the whole tree is to be read again


class Listener:
    """What is new for one who listens; taken by taking, with all of it empty afterwards."""

    def __init__(self, client: int) -> None:
        self.client = client
        self.is_new = True  # everything is to be told
        self.values: Mapping[str, Value] = {}
        self.lists: dict[str, Any] = {}
        self.status: Mapping[str, Any] | None = None
        self.log: deque[Mapping[str, Any]] = deque(maxlen=LOG_KEPT)
        self.refused: deque[Refusal] = deque(maxlen=64)
        self.paths: deque[tuple[str, str]] = deque(maxlen=2 * MOST_CHANGES)  # what has become of an address, and it
        self._woken = asyncio.Event()

    async def wait(self) -> None:
        """Until something is new."""
        await self._woken.wait()
        self._woken.clear()

    def wake(self) -> None:
        """Something is new."""
        self._woken.set()


@dataclass(frozen=True)
class _Foreseen:
    """What a page has set: which one, in which message to the show, to what."""

    client: int
    number: int
    value: Value


class Board:
    """See the module's head."""

    def __init__(self) -> None:
        self.show: Description | None = None
        self.values: dict[str, Value] = {}
        self.lists: dict[str, Any] = {}
        self.mapped: dict[str, str] = {}
        self.status: Mapping[str, Any] = {}
        self.log: deque[Mapping[str, Any]] = deque(maxlen=LOG_KEPT)
        self.tree = Tree.empty()
        self.heard_at = -1.0  # by time.monotonic(), when the stage last told how it is
        self.picture: Picture | None = None
        self.pictures = 0
        self.listeners: set[Listener] = set()
        self._clients = 0
        self._kinds: dict[str, Param] = {}  # of what can be set, by name
        self._foreseen: dict[str, _Foreseen] = {}  # of parameters, until the show has said what it makes of it
        self._painted = asyncio.Event()

    def join(self) -> Listener:
        """One more who wants to be told; leave() ends it."""
        self._clients += 1
        listener = Listener(self._clients)
        self.listeners.add(listener)
        listener.wake()
        return listener

    def leave(self, listener: Listener) -> None:
        """Nothing more for this one."""
        self.listeners.discard(listener)

    def take(self, said: Description | Update) -> None:
        """One message of the stage."""
        if isinstance(said, Description):
            self._begin(said)
        else:
            self._change(said)

    def foresee(self, client: int, name: str, value: Value, number: int) -> None:
        """A page sets this; the others see it now. number: of the message that tells the show (Update.heard)."""
        param = self._kinds.get(name)
        if param is None:
            return
        try:
            shown = {name: param.coerce(value)}
        except ParamError:  # the show will say why
            return
        self._foreseen[name] = _Foreseen(client, number, shown[name])
        self._show(shown, [each for each in self.listeners if each.client != client])

    def shown(self, name: str, default: Value) -> Value:
        """A parameter's value as pages have it: foreseen, or as the show said; default where it said nothing."""
        return self._foreseen[name].value if name in self._foreseen else self.values.get(name, default)

    async def next_picture(self, seen: int, timeout_s: float) -> Picture | None:
        """A picture after the so-manieth; None where none comes in time."""
        end = time.monotonic() + timeout_s
        while self.pictures <= seen:
            left = end - time.monotonic()
            if left <= 0:
                return None
            try:
                await asyncio.wait_for(self._painted.wait(), left)
            except TimeoutError:
                return None
        return self.picture

    def _begin(self, show: Description) -> None:
        self.show = show
        self.values, self.lists, self.mapped = dict(show.values), dict(show.lists), dict(show.mapped)
        self.log = deque(show.log, maxlen=LOG_KEPT)
        self._kinds = {row["name"]: param_of(row) for row in show.params if _can_be_set(row)}
        self._foreseen.clear()
        for listener in self.listeners:
            listener.is_new = True
            listener.wake()
        self._grow()

    def _change(self, said: Update) -> None:
        self.values |= said.values
        self.lists |= said.lists
        self.log.extend(said.log)
        if said.status is not None:
            self.status, self.heard_at = said.status, time.monotonic()
        self._settle(said)
        for listener in self.listeners:
            listener.lists |= said.lists
            listener.log.extend(said.log)
            listener.status = said.status or listener.status
            listener.refused.extend(each for each in said.refused if each.client == listener.client)
            if said.lists or said.log or said.status or listener.refused:
                listener.wake()
        if said.picture is not None:
            self.picture = said.picture
            self.pictures += 1
            painted, self._painted = self._painted, asyncio.Event()
            painted.set()
        if said.mapped is not None:
            self.mapped = dict(said.mapped)
        if said.mapped is not None or {"presets", "cues"} & said.lists.keys():
            self._grow()

    def _settle(self, said: Update) -> None:
        """Tells its values: nothing yet of what pages foresee; and what the show made of that. What came as it was
        foreseen, all have seen but the page that set it."""
        heard = {name: each for name, each in self._foreseen.items() if each.number <= said.heard}
        for name in heard:
            del self._foreseen[name]
        news = {name: value for name, value in said.values.items() if name not in self._foreseen}
        news |= {name: self.values[name] for name in heard if name in self.values}
        for name, each in heard.items():
            if news.get(name) == each.value:
                self._show({name: news.pop(name)}, [one for one in self.listeners if one.client == each.client])
        self._show(news, self.listeners)

    @staticmethod
    def _show(values: Mapping[str, Value], listeners: Iterable[Listener]) -> None:
        for listener in listeners if values else ():
            # The same object for all who keep up, so that it is put into words once (sockets.Words).
            listener.values = {**listener.values, **values} if listener.values else values
            listener.wake()

    def _grow(self) -> None:
        """The tree of addresses as it is now; whoever listens hears what came and went."""
        assert self.show is not None
        before, self.tree = self.tree, Tree.of(self.show, self.lists, self.mapped)
        told = changes(before, self.tree)
        if len(told) > MOST_CHANGES:
            told = [("PATH_CHANGED", "/")]
        for listener in self.listeners:
            listener.paths.extend(told)
            if told:
                listener.wake()


def param_of(row: Mapping[str, Any]) -> Param:
    """A parameter as far as a description tells of it, without its rule."""
    return Param(
        row["name"], row["kind"], row["default"], row["doc"], row["low"], row["high"], choices=tuple(row["choices"])
    )


def _can_be_set(row: Mapping[str, Any]) -> bool:
    return row["lands"] != "start" and row["kind"] not in ("trigger", "call")

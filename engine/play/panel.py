"""The show's end of its panel: tells it what changes, hears what people there want, and shows them the picture.

    panel = Panel(show, worker)              # worker None: there is no panel, and nothing is done
    panel.start(); conductor.add(panel)
    panel.begin(player); panel.step(player)  # when a show comes on stage; once a frame
    for output in panel.outputs: output.push(framebuffer, now_s)
    panel.close()

A source of the conductor's. What comes from a panel is checked here as what comes by OSC is, and is part of a take like
anything that steers. The stage's GL thread, which never waits for the panel (panel_link.py).
"""

import base64
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import __version__
from engine.control.osc import OscIn
from engine.play.learning import Learning
from engine.play.log_tail import LogTail
from engine.play.panel_link import PanelLink, Worker
from engine.play.panel_messages import Description, Order, Refusal, Settings, Update
from engine.play.preview import Preview
from engine.play.status import StatusWatch
from engine.show.config import Show
from engine.show.params import ParamError, Registry, Value, did_you_mean
from engine.stage.code import printed
from engine.stage.program import Output
from engine.walk.memory.questions import Short

if TYPE_CHECKING:
    from engine.play.live import Player

log = logging.getLogger("pedesis")

TELL_HZ = 20.0
STATUS_S = 1.0
_PATHS = ("memory.file", "model.name", "model.decoder", "model.control", "model.adapter", "model.adapter_encoder")
HIDDEN = frozenset({"panel.token", *_PATHS})  # secrets, and paths of this machine


class Panel:
    """See the module's head."""

    def __init__(self, show: Show, worker: Worker | None) -> None:
        """worker: what the panel's process runs."""
        self.link: PanelLink | None = None
        self.preview: Preview | None = None  # once there is a stage
        values = show.values
        if worker is not None and values["panel.enabled"]:
            settings = Settings(str(values["panel.host"]), int(values["panel.port"]), str(values["panel.token"]))
            self.link = PanelLink(worker, settings)
        self._tail = LogTail()
        self._registry: Registry = show.registry
        self._osc: OscIn | None = None  # takes the OSC that comes by websockets
        self._own_osc = False
        self._learning: Learning | None = None
        self._learns: list[Order] = []
        self._refused: list[Refusal] = []
        self._told: dict[str, Value] = {}
        self._lists: dict[str, Any] = {}
        self._newest: tuple[tuple[Short, ...], list[dict[str, Any]]] = (), []
        self._mapped: object = None  # the table that was told last
        self._next_s = self._status_s = 0.0
        self._player: Player | None = None
        self._status: Mapping[str, Any] = {}
        self._status_told: Mapping[str, Any] = {}
        self._watch = StatusWatch(time.perf_counter())
        self._said: Mapping[str, Any] | None = None  # the address that was told last
        self._heard = 0  # as it was told last

    @property
    def outputs(self) -> list[Output]:
        """What takes the program: nothing, unless somebody looks."""
        return [self.preview] if self.preview is not None and self.link is not None else []

    @property
    def address(self) -> Mapping[str, Any] | None:
        """Where it answers now: address, network, code; None while it does not."""
        return self.link.ready if self.link is not None else None

    def start(self) -> None:
        """Starts the process; returns at once."""
        if self.link is not None:
            self._tail.open()
            self.link.start()

    def begin(self, player: "Player") -> None:
        """Another show is on stage, or the first."""
        self._registry, self._player = player.show.registry, player
        self._learning = None
        if self.preview is None:
            self.preview = Preview(player.stage.ctx, player.shaders)
        if player.osc is not None:
            self._osc = player.osc
        elif self._osc is None:
            self._osc, self._own_osc = OscIn("", 0, self._registry, mapper=player.playing.inputs.mapper), True
        else:
            self._osc.use(self._registry, player.playing.inputs.mapper)
        if self.link is not None and self.link.ready is not None:
            self.link.is_new = True

    def status(self) -> Mapping[str, Any]:
        """The numbers of the show, not older than STATUS_S; empty before there is one."""
        now_s = time.perf_counter()
        if self._player is not None and now_s >= self._status_s:
            self._status_s = now_s + STATUS_S
            self._status = self._watch.look(self._player, now_s)
        return self._status

    def drain(self) -> list[tuple[str, Value]]:
        """What people at panels want, since the last call."""
        if self.link is None:
            return []
        orders, packets = self.link.orders()
        steers: list[tuple[str, Value]] = []
        for order in orders:
            if order.kind == "learn":
                self._learns.append(order)
            else:
                steers += self._wanted(order)
        if self._osc is not None:
            for packet in packets:
                self._osc.put(packet)
            if self._own_osc:
                steers += self._osc.drain()
        return steers

    def step(self, player: "Player") -> None:
        """Tells what has changed, at most TELL_HZ times a second."""
        link = self.link
        now_s = time.perf_counter()
        if link is None or now_s < self._next_s:
            return
        # On the average: frames of 50 ms, each a little early for the next, would make it ten a second.
        self._next_s = max(self._next_s + 1 / TELL_HZ, now_s + 0.5 / TELL_HZ)
        link.watch()
        if self.preview is not None:
            self.preview.is_wanted = link.looking
        self._learn(player)
        if link.ready is None:
            return
        self._tell_address(link.ready)
        if link.is_new:
            link.send(self._description(player))
            self._status_told = {}
        update = self._changes(player)
        if update is not None:
            link.send(update)

    def close(self) -> None:
        """Ends the process. Safe to call twice."""
        if self.link is not None:
            self.link.close()
            self._tail.close()
        if self.preview is not None:
            self.preview.close()

    def _wanted(self, order: Order) -> list[tuple[str, Value]]:
        """The steering of one order; what is wrong with it goes back to who gave it."""
        param = self._registry.get(order.name)
        if param is None or order.name in HIDDEN:
            near = did_you_mean(self._registry.nearest(order.name[:80]))
            return self._refuse(order, f"{order.name[:80]!r} is not the name of a parameter{near}")
        if not param.live:
            return self._refuse(order, f"{param.name} can only be set where the show begins")
        wanted = {"set": not param.fires, "fire": param.kind == "trigger", "call": param.kind == "call"}
        if not wanted[order.kind]:
            return self._refuse(order, f"{param.name} is a {param.kind}")
        try:
            value = param.coerce(order.value)
        except ParamError as error:
            return self._refuse(order, str(error))
        return [(param.name, value), (param.name, 0.0)] if order.kind == "fire" else [(param.name, value)]

    def _refuse(self, order: Order, why: str) -> list[tuple[str, Value]]:
        if len(self._refused) < 64:
            self._refused.append(Refusal(order.client, order.name[:80], why))
        return []

    def _description(self, player: "Player") -> Description:
        """All there is to know; from here on changes are told."""
        rows = []
        for row in player.show.registry.rows():
            if row["name"] not in HIDDEN:
                kept = {key: row[key] for key in _KEYS}
                default = player.show.values.get(row["name"], row["default"])  # where the show has it, for its faders
                rows.append({**kept, "default": default, "group": row["name"].partition(".")[0]})
        self._told = self._values(player)
        self._lists = self._listed(player)
        self._mapped = player.playing.inputs.mapper.table
        self._tail.take()  # they are among those that are kept
        return Description(
            player.show.name, __version__, tuple(rows), dict(self._told), dict(self._lists), _mapped(player),
            player.osc.port if player.osc else None, self._tail.kept,
        )  # fmt: skip

    def _changes(self, player: "Player") -> Update | None:
        """What has changed since it was last told; None for nothing."""
        values, lists = self._values(player), self._listed(player)
        told, listed = self._told, self._lists
        new_values = {name: value for name, value in values.items() if told.get(name) != value}
        new_lists = {name: value for name, value in lists.items() if listed.get(name) != value}
        self._told, self._lists = values, lists
        mapped = None
        if player.playing.inputs.mapper.table is not self._mapped:
            self._mapped = player.playing.inputs.mapper.table
            mapped = _mapped(player)
        status = self.status()
        is_news, self._status_told = status is not self._status_told, status
        lines, refused = self._tail.take(), tuple(self._refused)
        picture = self.preview.take() if self.preview is not None else None
        self._refused.clear()
        heard, self._heard = self._heard, self.link.heard if self.link is not None else 0
        is_heard = heard != self._heard
        if not (new_values or new_lists or mapped is not None or is_news or lines or picture or refused or is_heard):
            return None
        news = status if is_news else None
        return Update(new_values, new_lists, mapped, news, lines, refused, picture, self._heard)

    @staticmethod
    def _values(player: "Player") -> dict[str, Value]:
        """Where the hands have put things: what a fader shows."""
        chosen = player.conductor.controls.chosen
        return {n: chosen(n) for n, p in player.show.registry.items() if not p.fires and n not in HIDDEN}

    def _listed(self, player: "Player") -> dict[str, Any]:
        conductor = player.conductor
        names = [name.removeprefix("material.") for name in conductor.navigator.materials]
        return {
            "materials": [{"name": n, "prompt": conductor.controls.chosen(f"material.{n}.prompt")} for n in names],
            "presets": list(conductor.automation.presets.names),
            "cues": [{"name": name, "number": n} for n, name in enumerate(conductor.automation.cues.names, 1)],
            "memories": self._remembered(player),
            "learn": self._learnt(player),
        }

    def _remembered(self, player: "Player") -> list[dict[str, Any]]:
        """The newest memories; made once for each list of them, as there are pictures in it."""
        newest = player.playing.remember.newest
        if newest is not self._newest[0]:
            self._newest = newest, [
                {"id": m.number, "name": m.words, "kept": m.created, "picture": as_address(m.jpeg)} for m in newest
            ]
        return self._newest[1]

    def _learn(self, player: "Player") -> None:
        """Begins, ends and goes on with learning, as the panel asks."""
        for order in self._learns:
            if order.value == "stop":
                self._stop_learning(player)
                continue
            try:
                self._begin_learning(player, order.name)
                if order.value == "clear" and self._learning is not None:
                    self._learning.clear()
                    self._stop_learning(player)
            except ValueError as error:
                self._stop_learning(player)
                self._refuse(order, str(error))
        self._learns.clear()
        if self._learning is not None and self._learning is not player.learning:
            self._learning = None  # ended on stage, by its key
        if self._learning is not None:
            self._learning.bind_when_still()

    def _begin_learning(self, player: "Player", name: str) -> None:
        """Raises ValueError for what cannot be learnt."""
        if self._learning is None:
            if player.learning is not None:
                raise ValueError("somebody at the stage's keyboard is learning already")
            self._learning = player.learning = Learning(player.show, player.playing.inputs, Path.cwd(), shown=False)
        self._learning.choose(name)

    def _stop_learning(self, player: "Player") -> None:
        if self._learning is not None:
            learning, self._learning, player.learning = self._learning, None, None
            player.end_later(learning.close)

    def _learnt(self, player: "Player") -> dict[str, Any]:
        if self._learning is None:
            return {"on": False, "name": "", "lines": []}
        return {"on": True, "name": self._learning.name, "lines": self._learning.lines(player.conductor)[1:]}

    def _tell_address(self, ready: Mapping[str, Any]) -> None:
        """Where the panel answers, once; with a code for phones where the network can reach it and somebody reads."""
        if ready == self._said:
            return
        again, self._said = self._said is not None, ready
        if again:
            log.info("the panel is there again")
            return
        if ready["network"] and ready["code"] and sys.stderr.isatty():
            print(printed(ready["code"]), file=sys.stderr, flush=True)
        log.info("steer me: in a browser at %s", ready["address"])


_KEYS = ("name", "kind", "low", "high", "choices", "unit", "doc", "lands", "curve", "default")


def _mapped(player: "Player") -> dict[str, str]:
    """The addresses that mappings hear, and what they move."""
    return {entry.source: entry.to for entry in player.playing.inputs.mapper.table.entries}


def as_address(jpeg: bytes) -> str:
    """A picture as a page takes it, in its own address; "" for none."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode() if jpeg else ""

"""The table of `pedesis osc monitor`: what arrives, readable in the dark from an arm's length.

    live.update(View("127.0.0.1", 7000, "stage").draw(monitor, now_s, console.size))

Bright is what has just come, dim what has been silent for a while, yellow what drives nothing.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.control.listen import reachable_at
from engine.control.monitor import Monitor, Row, number

if TYPE_CHECKING:
    from rich.console import ConsoleDimensions, Group
    from rich.table import Table
    from rich.text import Text

FRESH_S, SILENT_S = 0.4, 3.0
_BAR, _RATE = 12, 4  # characters
_RANGE_FROM, _BAR_FROM = 110, 72  # columns a terminal must have for these


@dataclass
class View:
    """What stands above the table, and the counts of the moment before."""

    host: str
    port: int
    show: str
    senses: list[str] = field(default_factory=list)  # a line each
    _counted: tuple[float, int] = (0.0, 0)
    _rate_hz: float = 0.0

    def draw(self, monitor: Monitor, now_s: float, size: "ConsoleDimensions") -> "Group":
        """The whole screen."""
        from rich.console import Group
        from rich.text import Text

        since_s, before = self._counted
        if now_s - since_s >= 1.0:
            self._rate_hz = (monitor.received - before) / (now_s - since_s) if since_s else 0.0
            self._counted = now_s, monitor.received
        head = [self._title(monitor), *(Text(line, style="dim") for line in self.senses), Text()]
        if not monitor.known:
            return Group(*head, *self._nothing_yet())
        room = max(size.height - len(head) - 3, 1)
        rows = monitor.rows(now_s, room)
        foot = [Text()]
        if monitor.known > len(rows):
            foot = [Text(f"and {monitor.known - len(rows)} more that have been silent for longer", style="dim")]
        return Group(*head, _table(rows, now_s, size.width), *foot)

    def _title(self, monitor: Monitor) -> "Text":
        from rich.text import Text

        known = f"{monitor.known} address{'' if monitor.known == 1 else 'es'}"
        return Text.assemble(
            ("OSC ", "bold"),
            (f"at {', '.join(reachable_at(self.host))} port {self.port}", "bold cyan"),
            f"   {self._rate_hz:.0f} messages/s   {known}   show {self.show}   ",
            ("Ctrl-C ends", "dim"),
            no_wrap=True,
            overflow="ellipsis",
        )

    def _nothing_yet(self) -> "list[Text]":
        from rich.text import Text

        where = " or ".join(reachable_at(self.host))
        lines = [Text(f"Nothing has come yet. Let your controller send OSC over UDP to {where}, port {self.port}.")]
        if self.host.startswith("127.") or self.host == "localhost":
            lines.append(Text("Only this machine is heard here. For phones and sensors: --host 0.0.0.0", style="dim"))
        lines.append(Text(f"To try it without one: pedesis osc sim visitor --port {self.port}", style="dim"))
        return lines


def _table(rows: list[Row], now_s: float, width: int) -> "Table":
    from rich.table import Table
    from rich.text import Text

    with_range, with_bar = width >= _RANGE_FROM, width >= _BAR_FROM
    address = min(max(len("address"), *(len(row.address) for row in rows)), 40 if with_bar else 24)
    value = min(max(len("value"), *(len(row.values) for row in rows)), 20)
    seen = min(max(len("seen"), *(len(row.seen) for row in rows)), 24)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    table.add_column("address", no_wrap=True, overflow="ellipsis", width=address)
    table.add_column("/s", justify="right", no_wrap=True, width=_RATE)
    table.add_column("value", no_wrap=True, overflow="ellipsis", width=value)
    if with_bar:
        table.add_column("", no_wrap=True, width=_BAR)
    if with_range:
        table.add_column("seen", no_wrap=True, overflow="ellipsis", width=seen, style="dim")
    table.add_column("drives", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        silent_s = now_s - row.last_s
        style = "bold" if silent_s < FRESH_S else "dim" if silent_s > SILENT_S else ""
        rate = f"{row.rate_hz:.0f}" if row.rate_hz >= 9.95 else f"{row.rate_hz:.1f}" if row.rate_hz else "·"
        cells = [Text(row.address, style=style), Text(rate, style=style), Text(row.values, style=style)]
        if with_bar:
            cells.append(_bar(row.share, style))
        if with_range:
            cells.append(Text(row.seen))
        table.add_row(*cells, _drives(row, style))
    return table


def _bar(share: float | None, style: str) -> "Text":
    from rich.text import Text

    if share is None:
        return Text()
    full = round(share * _BAR)
    return Text.assemble(("━" * full, f"{style} cyan".strip()), ("─" * (_BAR - full), "bright_black"))


def _drives(row: Row, style: str) -> "Text":
    from rich.text import Text

    if not row.drives.known:
        return Text(row.drives.text, style=f"{style if style == 'dim' else ''} yellow".strip())
    value = row.drives.value
    said = "" if value is None else f" {number(value) if isinstance(value, int | float) else value}"
    return Text.assemble((row.drives.text, f"{style} green".strip()), (said, "dim"))

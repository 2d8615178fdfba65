"""`pedesis params`: every parameter of a show, as a table for people, programs and the README.

pedesis params house --markdown
"""

import json
from typing import Annotated, Any

import typer

from engine.cli.common import ShowArg, open_show
from engine.show.config import Show

COLUMNS = ("name", "kind", "range", "default", "lands", "doc")


def list_params(
    show: ShowArg = "house",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table.")] = False,
) -> None:
    """The whole parameter table of a show."""
    rows = parameter_rows(open_show(show, None, None))
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    if markdown:
        typer.echo(markdown_table(rows))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    console = Console()
    if console.width < 140:  # a table of seven columns would be nothing but folds
        for row in rows:
            unit = f" {row['unit']}" if row["unit"] and str(row["unit"]) not in str(row["range"]) else ""
            console.print(f"[bold]{row['name']}[/bold]  {row['address']}", highlight=False)
            what = f"{row['kind']}: {row['range']}{unit}; starts at {row['default']}. {row['doc']}"
            console.print(Padding(escape(what), (0, 0, 0, 4)), highlight=False)
        return
    table = Table()
    for column in COLUMNS:
        table.add_column(column, no_wrap=column in ("name", "address"), overflow="fold")
    for row in rows:
        table.add_row(*(str(row[column]) for column in COLUMNS))
    console.print(table)


def parameter_rows(show: Show) -> list[dict[str, Any]]:
    """The registry's rows, with the values this show starts from as defaults."""
    return [{**row, "default": show.values[row["name"]]} for row in show.registry.rows()]


def markdown_table(rows: list[dict[str, Any]]) -> str:
    """The parameter table as the README has it."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        cells = [f"`{row[c]}`" if c in ("name", "address") else str(row[c]) for c in COLUMNS]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)

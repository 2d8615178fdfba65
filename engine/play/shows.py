"""A show with what every room adds to it: the one place that names all of them.

    show = load_show("gallery", sets=["walk.speed=0.3"], seed=11)      # or a path to a file of your own

A new room is one more line here. Any process.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engine.control import automation_params as automation
from engine.control import map_table as mapping
from engine.control import params as control
from engine.control.score import ScoreError, parse_score
from engine.dreamer import additions
from engine.dreamer import params as dreamer
from engine.play import panel_params as panel
from engine.record import params as record
from engine.show import config
from engine.show.part import Part
from engine.stage import docent_params as docent
from engine.stage import params as stage
from engine.walk import guide_params as guide
from engine.walk import params as walk
from engine.walk.memory import params as memory
from engine.walk.pulp import params as pulp

# In the order in which parameters are documented.
PARTS: tuple[Part, ...] = (
    walk.PART,
    pulp.PART,
    memory.PART,
    guide.PART,
    stage.PART,
    docent.PART,
    control.PART,
    automation.PART,
    mapping.PART,
    dreamer.PART,
    additions.PART,
    record.PART,
    panel.PART,
)


def load_show(
    source: str | Path,
    sets: Sequence[str] = (),
    seed: int | None = None,
    score: Path | None = None,
    text: str | None = None,
    score_text: str = "",
) -> config.Show:
    """The show of that name or in that file. Raises ShowError.

    sets: `name=value` each, over what the file says. seed: over `walk.seed`, and last. score: a file, in place of the
    show's own score. text, score_text: what counts as the content of the show file and of its score's.
    """
    try:
        tables = {"score": parse_score(score_text)} if score_text else {}
    except ScoreError as error:
        raise config.ShowError([f"the score of {source} is {error}"]) from None
    show = config.load_show(source, PARTS, sets, seed, text, tables)
    if score_text:
        show = replace(show, things={**show.things, "score_text": score_text})
    if score is None:
        return show
    try:
        return automation.with_score(show, score)
    except ScoreError as error:
        raise config.ShowError(str(error).split("\n")) from None

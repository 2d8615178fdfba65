"""The registry of a show that is not written anywhere: the parameters of every room for materials of one's own."""

from collections.abc import Sequence
from dataclasses import replace

from engine.play.shows import PARTS
from engine.show.params import Registry
from engine.show.specs import Material


def build_registry(materials: Sequence[str], transitions: Sequence[str] = ("dissolve",)) -> Registry:
    """materials: their names. transitions: the choices of blend.transition, in place of the shaders' names."""
    things = {"material": tuple(Material(name, name) for name in materials)}
    params = [param for part in PARTS for param in part.params(things)]
    return Registry(
        [
            replace(p, choices=tuple(transitions), default=transitions[0]) if p.name == "blend.transition" else p
            for p in params
        ]
    )

"""What the walk adds to a show: how it moves, and the materials it draws from.

Plain data, any process; neither numpy nor torch.
"""

from engine.show.params import SEED_MAX, TEXT_MAX, Param, Rule, nearest_word, shown, slug
from engine.show.part import Part, Report, Table, Things
from engine.show.specs import Material

MAX_MATERIALS = 16
_KEYS = ("name", "prompt", "weight", "caption")


def _params(things: Things) -> list[Param]:
    return [*_walk(), *_words(), *_materials(things.get("material", ()))]


def _walk() -> list[Param]:
    return [
        Param("walk.speed", "number", 0.12,
              "How fast pictures turn into other pictures; at 1 nearly everything is new after a second.",
              0, 4, "phase/s", "square", 0.5, lands="keyframe"),
        Param("walk.radius", "number", 1.0,
              "How far the walk may stray from home: 0 stays at home, 1 roams the whole space.",
              0, 1, smoothing_s=1.0, lands="keyframe"),
        Param("walk.pedesis", "number", 0.15,
              "Character of the motion: 0 is a slow smooth drift, 1 the jitter of a grain in water.",
              0, 1, smoothing_s=1.0, lands="keyframe"),
        Param("walk.wander", "number", 2.0,
              "How boldly it moves among the materials: 0 keeps the mix still, 6 shows nearly one at a time.",
              0, 6, smoothing_s=1.0, lands="keyframe"),
        Param("walk.focus", "number", 1.0,
              "How far shapes have come out of what holds none: 0 is an empty sky, 0.5 forms, 1 this one picture.",
              0, 1, smoothing_s=1.0, lands="keyframe"),
        Param("walk.dwell", "number", 1.0,
              "How long it stays with one material: at 0 a picture is nearly always a mixture, at 1 mixtures are "
              "short crossings.",
              0, 1, smoothing_s=1.0, lands="keyframe"),
        Param("walk.tour", "number", 1.0,
              "How strictly every material gets its turn: 0 leaves it to chance, at 1 each comes once in a walk.round.",
              0, 1, smoothing_s=1.0, lands="keyframe"),
        Param("walk.pause", "switch", False, "Brings the walk to a gentle halt; the look goes on breathing.",
              lands="keyframe"),
        Param("walk.seed", "integer", 7,
              "Which walk it is: the same seed dreams the same pictures again, on any machine.",
              0, SEED_MAX, lands="keyframe"),
        Param("walk.home", "trigger", 0.0, "Visits home for a few seconds, then lets the walk go on.",
              lands="keyframe"),
        Param("walk.home_here", "trigger", 0.0, "Makes the present picture home.", lands="keyframe"),
        Param("walk.nudge", "trigger", 0.0,
              "Gives the walk a shove; the harder the hit, the farther it goes.", lands="keyframe"),
        Param("walk.jump", "trigger", 0.0,
              "Leaps somewhere altogether new, by way of blend.transition over blend.time.", lands="keyframe"),
        Param("walk.round", "number", 16.0,
              "How far the walk goes while every material has one turn: at walk.speed 0.12, round 16 takes 133 s.",
              1, 10000, "phase", "log", lands="start"),
        Param("walk.loop", "number", 0.0,
              "Length of a walk that ends where it began, for seamless loops, at least 1; 0 is an open walk. "
              "At walk.speed 0.5, loop 10 comes round after 20 seconds.",
              0, 10000, "phase", lands="start",
              # As spectrum.LOOP_MIN, whose numpy is not imported for this.
              rule=Rule(lambda v: v == 0 or v >= 1, "0, which is an open walk, or a number from 1 to 10000 phase")),
    ]  # fmt: skip


def _words() -> list[Param]:
    return [
        Param("say", "call", "", "Brings a phrase in as a material of its own, which rises, is held and fades.",
              lands="palette"),
        Param("say.hold", "number", 20.0, "How long a phrase is held once it has risen.", 0, 3600, "s", "square"),
        Param("say.share", "number", 0.9, "How much of the picture belongs to the phrases while they are held.",
              0, 1, smoothing_s=1.0, lands="keyframe"),
        Param("say.clear", "trigger", 0.0, "Lets all phrases fade.", lands="keyframe"),
        Param("clouds.see", "text", "", "A word that the clouds are read by, pulled in softly as walk.focus rises.",
              lands="palette"),
    ]  # fmt: skip


def _materials(materials: tuple[Material, ...]) -> list[Param]:
    said = Rule(lambda v: bool(v.strip()), f"text of 1 to {TEXT_MAX} characters")
    return [
        param
        for m in materials
        for param in (
            Param(f"material.{m.name}", "number", 1.0,
                  f"How much the walk is drawn to {m.name.replace('_', ' ')}, next to the other materials.",
                  0, 1, smoothing_s=0.5, lands="keyframe"),
            Param(f"material.{m.name}.prompt", "text", m.prompt,
                  f"The words of {m.name.replace('_', ' ')}.", lands="palette", rule=said),
            Param(f"material.{m.name}.caption", "text", "",
                  f"What captions call {m.name.replace('_', ' ')}; without it, its words in short."),
        )
    ]  # fmt: skip


def read_materials(content: object, report: Report) -> Table:
    """[[material]]: tables with name, prompt and, if it is not to be 1, weight."""
    entries = content if isinstance(content, list) else []
    if not 1 <= len(entries) <= MAX_MATERIALS:
        got = shown(content) if content and not entries else str(len(entries))
        report("[[material]]", f"there 1 to {MAX_MATERIALS} times", got)
    found: dict[str, Material] = {}
    weights: dict[str, object] = {}
    for n, entry in enumerate(entries, 1):
        key = f"[[material]] {n}"
        if not isinstance(entry, dict):
            report(key, "a table with name, prompt, weight and caption", shown(entry))
            continue
        for unknown in entry.keys() - set(_KEYS):
            report(f"{key}", f"made of {', '.join(_KEYS)}", shown(unknown), nearest_word(unknown, _KEYS))
        name = _name(key, entry.get("name"), found, report)
        prompt = entry.get("prompt")
        if not isinstance(prompt, str) or not prompt.strip() or len(prompt) > TEXT_MAX:
            report(f"{key} prompt", f"text of 1 to {TEXT_MAX} characters", shown(prompt))
            prompt = name  # so that what else is wrong can be told as well
        if name:
            found[name] = Material(name, str(prompt))
        if name and "weight" in entry:
            weights[f"material.{name}"] = entry["weight"]
        if name and "caption" in entry:
            weights[f"material.{name}.caption"] = entry["caption"]
    return Table(tuple(found.values()), weights)


def _name(key: str, name: object, taken: dict[str, Material], report: Report) -> str:
    if not isinstance(name, str) or not name or slug(name) != name:
        near = slug(name) if isinstance(name, str) else None
        must_be = "a name of a-z, 0-9 and _, at most 32 characters (its address is /material/<name>)"
        report(f"{key} name", must_be, shown(name), near)
        return ""
    if name in taken:
        report(f"{key} name", "a name that no other material has", shown(name))
        return ""
    return name


PART = Part(_params, {"material": read_materials})

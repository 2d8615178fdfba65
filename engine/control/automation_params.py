"""What automation adds to a show: presets, cues, scores, tempo and LFOs, with their tables.

    [preset.NAME], [[cue]], [[lfo]], [score] or score = "FILE"

Plain data, any process.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from engine.control.cues import read_cues
from engine.control.lfo import check_lfos, lfo_params, read_lfos
from engine.control.presets import Preset, as_stored, read_presets
from engine.control.score import ScoreError, parse_score, read_score, score_text
from engine.control.stored import read_stored
from engine.control.tempo import BPM_HIGH, BPM_LOW
from engine.show.config import Show
from engine.show.params import Param, Registry, did_you_mean, shown
from engine.show.part import Part, Report, Table, Things
from engine.show.paths import show_state_dir


def _params(things: Things) -> list[Param]:
    return [*_presets(), *_score(), *_tempo(), *lfo_params(things.get("lfo", ()))]


def _presets() -> list[Param]:
    return [
        Param("show.panic", "trigger", 0.0,
              "Back to safety in two seconds: the show's own values, no phrase, no score, cues at their beginning."),
        Param("preset.recall", "call", "",
              "Moves to a preset, by its name or number; a second value is how many seconds it takes."),
        Param("preset.store", "call", "", "Stores the present values under a name or a number."),
        Param("preset.delete", "call", "", "Deletes a stored preset."),
        Param("preset.time", "number", 2.0, "How long the way to a preset or cue takes that does not say so itself.",
              0, 600, "s", "square"),
        Param("cue.go", "trigger", 0.0, "On to the next cue."),
        Param("cue.back", "trigger", 0.0, "Back to the cue before."),
        Param("cue.goto", "call", "", "To a cue anywhere in the list, by its name or number; 0 is before the first."),
    ]  # fmt: skip


def _score() -> list[Param]:
    return [
        Param("score.play", "trigger", 0.0, "Plays the score from its beginning."),
        Param("score.stop", "trigger", 0.0, "Ends the score; what is under way arrives."),
        Param("score.pause", "switch", False, "Holds the score where it is."),
        Param("score.go", "trigger", 0.0, "Lets the score go on where it holds."),
    ]


def _tempo() -> list[Param]:
    return [
        Param("tempo.bpm", "number", 120.0, "Beats a minute.", BPM_LOW, BPM_HIGH, "bpm", "log"),
        Param("tempo.bar", "integer", 4, "Beats in a bar.", 1, 32, "beats"),
        Param("tempo.midi", "switch", True, "Whether to follow the clock of a MIDI device, where one sends it."),
        Param("tempo.link", "switch", False,
              "Whether to follow Ableton Link, which needs the extra: pip install 'pedesis[link]'.", lands="start"),
        Param("tempo.tap", "trigger", 0.0, "Tap it on the beat, and the tempo follows; two taps are enough."),
        Param("tempo.sync", "trigger", 0.0, "Says that the beat is now, and leaves the tempo as it is."),
    ]  # fmt: skip


def _read_presets(content: object, report: Report) -> Table:
    """[preset.NAME]: what they hold is read once parameters are known. `time` of [preset] itself is preset.time."""
    if content is not None and not isinstance(content, Mapping):
        report("preset", "tables such as [preset.calm]", shown(content))
        return Table({})
    tables, values = {}, {}
    for name, entry in (content or {}).items():
        if isinstance(entry, Mapping):
            tables[name] = entry
        elif name == "time":
            values["preset.time"] = entry
        else:
            report(f"preset.{name}", "a table such as [preset.calm]", shown(entry))
    return Table(tables, values)


def _read_raw(content: object, report: Report) -> Table:
    """Kept as it stands until parameters are known."""
    return Table(content)


def _finish(things: Things, registry: Registry, path: Path, report: Report) -> Things:
    """Presets, cues, the score and the LFOs, with all their names looked up."""
    check_lfos(things["lfo"], registry, report)
    presets = read_presets(things["preset"], registry, report)
    score = things["score"]
    table, told, text = _score_table(score, path, report)
    named = _named(things["cue"]) | _named((table or {}).get("cue"))
    if named - presets.keys():
        presets |= _stored_ones(named - presets.keys(), registry, path)
    return {
        "preset": presets,
        "cue": read_cues(things["cue"], presets, registry, report),
        "score": None if table is None else read_score(table, tuple(presets), registry, told),
        "score_text": text,
    }


def _score_table(score: object, path: Path, report: Report) -> tuple[Mapping[str, object] | None, Report, str]:
    """The score's content, how its mistakes are told, and the text of its file if it has one."""
    if score is None:
        return None, report, ""
    if isinstance(score, Mapping):
        return score, lambda key, *rest: report(f"score {key}", *rest), ""
    if not isinstance(score, str) or not score.strip():
        report("score", 'the name of a file beside the show, such as "evening.toml", or a table', shown(score))
        return None, report, ""
    try:
        text = score_text(path.parent / Path(score).expanduser())
        return parse_score(text), lambda key, *rest: report(f"{score} {key}", *rest), text
    except ScoreError as error:
        report("score", "a score in TOML", f"{shown(score)}: {error}")
        return None, report, ""


def _named(entries: object) -> set[str]:
    """The presets that cues name."""
    found = entries if isinstance(entries, list) else []
    return {str(entry["preset"]) for entry in found if isinstance(entry, Mapping) and "preset" in entry}


def _stored_ones(names: set[str], registry: Registry, path: Path) -> dict[str, Preset]:
    """Those that were stored while the show played, for cues that name them."""
    try:
        stored = as_stored(read_stored(show_state_dir(path)), registry)
    except OSError:  # this user has no home folder
        return {}
    return {name: preset for name, preset in stored.items() if name in names}


def with_score(show: Show, path: Path) -> Show:
    """The show with the score in that file in place of its own. Raises ScoreError with every mistake, one a line."""
    problems: list[str] = []

    def report(key: str, must_be: str, got: str, nearest: str | None = None) -> None:
        problems.append(f"{path}: {key} must be {must_be}, got {got}{did_you_mean(nearest)}")

    try:
        text = score_text(path)
        table = parse_score(text)
    except ScoreError as error:
        raise ScoreError(f"{path}: {error}") from None
    presets = dict(show.things["preset"])
    if missing := _named(table.get("cue")) - presets.keys():
        presets |= _stored_ones(missing, show.registry, show.path)
    score = read_score(table, tuple(presets), show.registry, report)
    if problems:
        raise ScoreError("\n".join(problems))
    return replace(show, things={**show.things, "preset": presets, "score": score, "score_text": text})


PART = Part(
    _params,
    {"preset": _read_presets, "cue": _read_raw, "score": _read_raw, "lfo": read_lfos},
    _finish,
)

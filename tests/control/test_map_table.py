"""[[map]] and [smoothing] as a show has them: every mistake with its line, what it must be, and the nearest name."""

from pathlib import Path

import pytest

from engine.play.shows import load_show
from engine.show.config import ShowError
from tests.control.rig import problems_of, table_of

SHOW = """\
[[material]]
name = "clouds"
prompt = "clouds"

"""


def problems_in(text: str) -> list[str]:
    return problems_of(f"[[map]]\n{text}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('from = "/a"\nto = "walk.sped"', "to must be the name of a parameter, got 'walk.sped'. Did you mean"),
        ('from = "/a"\nto = "walk.loop"', "to must be a parameter that can be steered while the show runs, got"),
        ('from = "a/b"\nto = "look.grain"', "sound:…, got 'a/b'. Did you mean /a/b?"),
        ('to = "look.grain"', "from must be an OSC address such as /sensor/1/distance, or"),
        ('from = "/a/[b"\nto = "look.grain"', "from must be a pattern whose brackets are all closed"),
        ('from = "midi:cc/17/1"\nto = "look.grain"', "with a channel from 1 to 16, got '17'"),
        ('from = "midi:cc/1"\nto = "look.grain"', "from must be midi:cc/CHANNEL/NUMBER"),
        ('from = "sound:loud"\nto = "look.grain"', "from must be one of sound:level, sound:low"),
        ('from = "/a"\nto = "look.grain"\nin = [1]', "in must be two numbers, [low, high], got [1]"),
        ('from = "/a"\nto = "look.grain"\nin = [2, 2]', "in must be two different numbers"),
        ('from = "/a"\nto = "look.grain"\nin = [0, nan]', "in must be two numbers"),
        ('from = "/a"\nto = "look.grain"\nout = [0, 2]', "out must be within what look.grain takes, a number"),
        ('from = "/a"\nto = "look.grain"\ncurve = "lin"', "or a power from 0.01 to 100, got 'lin'"),
        ('from = "/a"\nto = "look.grain"\ncurve = "log"', "anything but log where out reaches 0, got out from 0 to 1"),
        ('from = "/a"\nto = "look.grain"\narg = 0', "arg must be a whole number from 1 to 64, counted from 1, got 0"),
        ('from = "/a"\nto = "look.grain"\nin = [-1, 1]\ndead = 0.5', "dead must be less than 0.5"),
        ('from = "/a"\nto = "look.grain"\nsmooth = "much"', "smooth must be true, a number of seconds from 0 to 600"),
        ('from = "/a"\nto = "look.grain"\nsmooth = { cutof = 1 }', "got 'cutof'. Did you mean cutoff?"),
        ('from = "/a"\nto = "look.grain"\ntakeover = "pick-up"', "takeover must be one of jump, pickup, scale"),
        ('from = "/a"\nto = "look.grain"\ntimeout = -1', "timeout must be a number from 0.05 to 86400, got -1"),
        ('from = "/a"\nto = "walk.nudge"\nmode = "relative"', "an encoder cannot turn walk.nudge, a trigger"),
        ('from = "/a"\nto = "look.grain"\nmode = "toggle"', "look.grain is a number and cannot be toggled"),
        ('from = "/a"\nto = "look.grain"\nmode = "relative"\nsmooth = true', "smooth must be left out: an"),
        ('from = "/a"\nto = "look.grain"\nstep = 2', "step must be left out: it belongs to mode = 'relative', got 2"),
        ('from = "/a"\nto = "walk.nudge"\nsmooth = true', "smooth must be left out: each press counts by itself"),
        ('from = "midi:note/1/1"\nto = "say"', "send must be there, as what say takes is text"),
        ('from = "/a"\nto = "blend.transition"\nsend = "tare"', "send must be one of dissolve, tear"),
        ('from = "/a"\nto = "look.grain"\nthreshold = 0.5', "threshold must be left out: look.grain is no trigger"),
        ('from = "/a"\nto = "walk.pause"\ntakeover = "scale"', "takeover must be jump, unless it is a number"),
        ('from = "/a"\nto = "look.grain"\nsmoth = true', "got 'smoth'. Did you mean smooth?"),
    ],
)  # fmt: skip
def test_mistakes_in_words(text: str, said: str) -> None:
    problems = problems_in(text)
    assert problems and any(said in problem for problem in problems), problems


def test_those_that_drive_one_parameter_must_agree() -> None:
    text = "\n".join(
        f'[[map]]\nfrom = "/{c}"\nto = "look.grain"\n{more}'
        for c, more in (("a", "combine = 'max'"), ("b", ""), ("c", "combine = 'min'"))
    )
    (said,) = problems_of(text)
    assert said == "[[map]] 3 combine must be max, as [[map]] 1 has it for the same parameter, got 'min'"


def test_a_circle_is_said_and_a_parameters_own_address_is_not_one() -> None:
    circle = [("/walk/speed", "look.grain"), ("/look/grain", "look.drift"), ("/look/dr*", "walk.speed")]
    text = "\n".join(f'[[map]]\nfrom = "{a}"\nto = "{b}"' for a, b in circle)
    (said,) = problems_of(text)
    assert said == (
        "[[map]] 3 to must be a parameter that does not lead back in a circle, got 'walk.speed': "
        "walk.speed moves look.grain, look.grain moves look.drift, look.drift moves walk.speed"
    )
    own = '[[map]]\nfrom = "/walk/speed"\nto = "walk.speed"\nin = [0, 127]\n'
    assert problems_of(own) == [] and problems_of(own + '[[map]]\nfrom = "/walk/speed"\nto = "look.grain"') == []


def test_a_show_says_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "show.toml"
    maps = (
        '# hands\n[[map]]\nfrom = "/a"\nto = "look.grain"\n\n[[map]]\nfrom = "/b"\ncurve = "cubic"\nto = "walk.sped"\n'
    )
    path.write_text(SHOW + maps + '\n[smoothing]\nwalk.speed = "slow"\nlook.gran = 1\n')
    with pytest.raises(ShowError) as error:
        load_show(path)
    said = [problem.removeprefix(f"{path}: ") for problem in error.value.problems]
    assert said[0].startswith("[[map]] 2 to (line 13) must be the name of a parameter, got 'walk.sped'.")
    assert said[1:] == [
        "smoothing.walk.speed must be a number of seconds from 0 to 600, got 'slow'",
        "smoothing.look.gran must be the name of a number that can be steered, with seconds, got 'look.gran'. "
        "Did you mean look.grain?",
    ]


def test_a_show_with_mappings_and_smoothing_loads(tmp_path: Path) -> None:
    path = tmp_path / "show.toml"
    path.write_text(
        SHOW + '[[map]]\nfrom = "/a"\nto = "/material/clouds"\n[smoothing]\nwalk.speed = 0\nmaterial.clouds = 2\n'
    )
    show = load_show(path)
    assert [entry.to for entry in show.things["map"].entries] == ["material.clouds"]
    assert show.things["smoothing"] == {"walk.speed": 0.0, "material.clouds": 2.0}


def test_addresses_are_found_in_any_case_and_by_pattern() -> None:
    table = table_of('[[map]]\nfrom = "/Pad/A"\nto = "walk.nudge"\n[[map]]\nfrom = "/p{ad,ot}/?"\nto = "look.grain"')
    assert [e.to for e in table.find("/pad/a")] == ["walk.nudge", "look.grain"]
    assert [e.to for e in table.find("/pot/7")] == ["look.grain"] and table.find("/pad/ab") == ()
    assert table.keeps_all("/pad/a") and not table.keeps_all("/pot/7")

"""Shows: those that come with Pedesis, and every way a person can write one wrong."""

import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from engine.play.shows import load_show
from engine.show.config import Show, ShowError, list_shows
from engine.show.paths import configs_dir, shaders_dir
from engine.show.specs import FilmSpec, ModelSpec, OscSpec, ProgramSpec, StageSpec
from engine.walk.spectrum import LOOP_MIN
from tests.registry import build_registry

MATERIAL = '[[material]]\nname = "clouds"\nprompt = "clouds"\n'
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str | bytes, name: str = "mine.toml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def problems(source: str | Path, *sets: str, seed: int | None = None) -> list[str]:
    with pytest.raises(ShowError) as caught:
        load_show(source, sets, seed)
    assert str(caught.value) == "\n".join(caught.value.problems)
    for line in caught.value.problems:
        assert "\n" not in line and re.match(r".+: .+ must be .+, got .+|.+: .+|No show named .+", line), line
    return caught.value.problems


# What comes with Pedesis


def test_the_promised_shows_are_there() -> None:
    assert {"house", "gallery", "stage", "film", "sd-turbo"} <= set(list_shows())


@pytest.mark.parametrize("name", list_shows())
def test_every_show_loads(name: str) -> None:
    show = load_show(name)
    assert show.name == name and show.path == configs_dir() / f"{name}.toml" and show.title
    assert 1 <= len(show.materials) <= 16
    assert show.values.keys() == {n for n in show.registry}
    for param in show.registry.values():
        assert param.coerce(show.values[param.name]) == show.values[param.name]
    for material in show.materials:
        assert show.values[f"material.{material.name}"] == material.weight


@pytest.mark.parametrize("name", list_shows())
def test_every_show_explains_itself(name: str) -> None:
    text = (configs_dir() / f"{name}.toml").read_text("utf-8")
    assert text.startswith("# ") and max(map(len, text.splitlines())) <= 120
    assert sum("#" in line for line in text.splitlines()) >= 12
    assert len({m["prompt"] for m in tomllib.loads(text)["material"]}) == len(load_show(name).materials)


def test_house_is_the_house_model_and_private() -> None:
    show = load_show("house")
    assert show.model == ModelSpec(width=448) and show.osc == OscSpec() and show.stage.fullscreen
    words = " ".join(m.prompt for m in show.materials)
    assert all(image in words for image in ("cloud", "pulp", "paper", "memory", "sphere"))


def test_gallery_remembers_and_is_slow() -> None:
    gallery, house = load_show("gallery"), load_show("house")
    assert gallery.stage.resume and gallery.stage.fullscreen
    assert float(gallery.values["walk.speed"]) < float(house.values["walk.speed"])
    assert float(gallery.values["blend.time"]) > float(house.values["blend.time"])


def test_stage_is_quick_and_open_to_the_network() -> None:
    stage, house = load_show("stage"), load_show("house")
    assert stage.osc.host == "0.0.0.0" and stage.osc.enabled
    assert float(stage.values["walk.speed"]) > float(house.values["walk.speed"])
    assert stage.model.steps < house.model.steps


def test_only_stage_listens_to_the_network() -> None:
    assert [n for n in list_shows() if load_show(n).osc.host != "127.0.0.1"] == ["stage"]


def test_film_is_a_film() -> None:
    film = load_show("film").film
    assert (film.width, film.height) == (1920, 1080) and film.gap <= FilmSpec().gap


def test_the_loop_that_film_toml_speaks_of_lasts_a_minute() -> None:
    show = load_show("film", ["walk.loop=6"])
    assert float(show.values["walk.loop"]) / float(show.values["walk.speed"]) == pytest.approx(60)


def test_sd_turbo_is_what_it_was_trained_as() -> None:
    model = load_show("sd-turbo").model
    assert (model.name, model.decoder) == ("stabilityai/sd-turbo", "madebyollin/taesd")
    assert (model.steps, model.guidance, model.width, model.height) == (1, 1.0, 512, 512)


# The tables and their defaults


@pytest.mark.parametrize(
    ("table", "spec"),
    [("model", ModelSpec), ("osc", OscSpec), ("window", StageSpec), ("program", ProgramSpec), ("film", FilmSpec)],
)
def test_keys_and_spec_agree(table: str, spec: type) -> None:
    registry = build_registry(["one"])
    keys = {p.name.partition(".")[2]: p.default for p in registry.values() if p.name.startswith(table + ".")}
    assert {f.name: f.default if f.default is not None else "" for f in fields(spec)} == keys


def test_codecs_are_those_of_the_recorder() -> None:
    from engine.record import encoder

    assert load_show("house").registry["film.codec"].choices == encoder.CODECS


def test_transitions_are_those_of_the_shaders() -> None:
    names = {file.stem for file in (shaders_dir() / "transitions").glob("*.glsl")}
    assert set(load_show("house").registry["blend.transition"].choices) == names


def test_the_least_a_show_can_be(write: Write) -> None:
    show = load_show(write(MATERIAL))
    assert show.name == "mine" and show.title == ""
    assert (show.model, show.osc, show.stage, show.film) == (ModelSpec(), OscSpec(), StageSpec(), FilmSpec())
    assert show.values == {n: p.default for n, p in show.registry.items()}


def test_all_kinds_of_keys(write: Write) -> None:
    show = load_show(
        write(
            'title = "T"\n[model]\nname = "m"\nsteps = 2\nguidance = 3\ndevice = "cuda:1"\nscheduler = "S"\n'
            "[walk]\nspeed = 1\npause = true\nseed = 5\n[blend]\ntime = 0\n[look]\nexposure = -1.5\n"
            "[stage]\nblackout = true\n[osc]\nport = 9000\nenabled = false\n"
            '[window]\nfit = "letterbox"\ndisplay = 1\n[film]\nfps = 23.976\n' + MATERIAL + "weight = 0.25\n"
        )
    )
    assert show.title == "T" and show.model == ModelSpec("m", 2, 3.0, device="cuda:1", scheduler="S")
    assert show.values["walk.speed"] == 1.0 and isinstance(show.values["walk.speed"], float)
    assert show.values["walk.pause"] is True and show.values["stage.blackout"] is True
    assert show.osc == OscSpec(port=9000, enabled=False) and show.film.fps == 23.976
    assert show.stage == StageSpec(display=1, fit="letterbox")
    assert show.materials[0].weight == show.values["material.clouds"] == 0.25


def test_sixteen_materials_and_no_more(write: Write) -> None:
    def many(n: int) -> Path:
        return write("".join(f'[[material]]\nname = "m{i}"\nprompt = "p"\n' for i in range(n)))

    assert len(load_show(many(16)).materials) == 16
    assert problems(many(17)) == [f"{many(17)}: [[material]] must be there 1 to 16 times, got 17"]


# From the command line


def test_sets_go_over_the_file_and_the_seed_over_all() -> None:
    show: Show = load_show(
        "house",
        ["walk.speed=0.5", "walk.seed=3", "material.pulp = 0.1", "film.gap=0.3", "walk.speed=0.6"],
        seed=11,
    )
    assert show.values["walk.speed"] == 0.6 and show.values["walk.seed"] == 11
    assert show.film.gap == 0.3
    assert {m.name: m.weight for m in show.materials}["pulp"] == show.values["material.pulp"] == 0.1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("walk.sped=1", "--set: walk.sped is not known; `pedesis params` lists them all. Did you mean walk.speed?"),
        ("walk.speed=9", "--set: walk.speed must be a number from 0 to 4 phase/s, got 9.0"),
        ("walk.speed=fast", "--set: walk.speed must be a number from 0 to 4 phase/s, got 'fast'"),
        ("walk.speed", "--set needs NAME=VALUE, e.g. --set walk.speed=0.3, got 'walk.speed'. Did you mean walk.speed?"),
        ("walk.home=1", "--set: walk.home is a trigger: it is sent while the show runs and has no value"),
        ("film.width=1281", "--set: film.width must be an even number of pixels from 16 to 16384, got 1281"),
        ("walk.loop=0.001", "--set: walk.loop must be 0, which is an open walk, or a number from 1 to 10000 phase, "
                            "got 0.001"),
        ("=", "--set needs NAME=VALUE, e.g. --set walk.speed=0.3"),
    ],
)  # fmt: skip
def test_a_bad_setting(setting: str, message: str) -> None:
    with pytest.raises(ShowError) as caught:
        load_show("house", [setting])
    assert caught.value.problems == [message]


@pytest.mark.parametrize("loop", ["1e-300", "0.1", "0.999"])
def test_a_loop_too_short_for_a_picture_to_change_in_is_refused(write: Write, loop: str) -> None:
    (line,) = problems(write(f"[walk]\nloop = {loop}\n{MATERIAL}"))
    assert ": walk.loop must be 0, which is an open walk, or a number from 1 to" in line


@pytest.mark.parametrize("loop", [0, -0.0, LOOP_MIN, 6, 10000])
def test_loops_that_close_are_shows(write: Write, loop: float) -> None:
    assert load_show(write(MATERIAL), [f"walk.loop={loop}"]).values["walk.loop"] == loop


def test_a_bad_seed() -> None:
    assert problems("house", seed=-1) == ["--seed: walk.seed must be a whole number from 0 to 2147483647, got -1"]


# Mistakes


def test_every_mistake_is_told_at_once(write: Write) -> None:
    path = write(
        'titel = "x"\nspeed = 3\n'
        '[model]\nwidth = 250\nsetps = 2\ndtype = "float61"\ndevice = "gpu"\nname = " "\n'
        '[walk]\nsped = 0.3\nspeed = "0.3"\nseed = 3.0\nnudge = 1\nradius = nan\npedesis = true\n'
        '[stage]\nwidth = 3\n[window]\nfit = "cove"\n[osc]\nport = 70000\nhost = ""\n[film]\nheight = 721\n'
        '[[material]]\nname = "Golden Clouds"\nprompt = ""\n'
        '[[material]]\nname = "pulp"\nprompt = "x"\nweight = 7\n'
        '[[material]]\nname = "pulp"\npromt = "x"\n'
    )
    found = problems(path, "walk.sped=1", "look.grain=2")
    expected = {
        "titel is": "Did you mean title?", "speed is": "Did you mean walk.speed?", "model.width must": "got 250",
        "model.setps is": "Did you mean model.steps?", "model.dtype must": "Did you mean float16?",
        "model.device must": "got 'gpu'", "model.name must": "got ' '", "walk.sped is": "Did you mean walk.speed?",
        "walk.speed must": "a number from 0 to 4 phase/s, got '0.3'", "walk.seed must": "a whole number",
        "walk.nudge is": "a trigger", "walk.radius must": "got nan", "walk.pedesis must": "got true",
        "stage.width is": "Did you mean window.width?",
        "window.fit must": "Did you mean cover?", "osc.port must": "got 70000", "osc.host must": "got ''",
        "film.height must": "an even number of pixels from 16 to 16384, got 721",
        "[[material]] 1 name": "Did you mean golden_clouds?", "[[material]] 1 prompt": "got ''",
        "material.pulp must": "from 0 to 1, got 7", "[[material]] 3 name": "got 'pulp'",
        "[[material]] 3 must": "Did you mean prompt?", "[[material]] 3 prompt": "got nothing",
    }  # fmt: skip
    in_file = [line.removeprefix(f"{path}: ") for line in found if line.startswith(str(path))]
    for beginning, words in expected.items():
        assert [words in line for line in in_file if line.startswith(beginning)] == [True], (beginning, in_file)
    assert len(in_file) == len(expected) and len(found) == len(expected) + 2
    assert [line.split()[1] for line in found[-2:]] == ["walk.sped", "look.grain"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[walk\nspeed = 1", "expected ']' at the end of a table declaration (at line 1"),
        (b"[walk]\n\nspeed = fast\n", "invalid value (at line 3"),
        (b"[walk]\nspeed = 1\nspeed = 2\n", "(at line 3"),
        (b"[walk]\nspeed = \xff\n", "line 2 is not UTF-8 text"),
        (b"a = " + b"[" * 5000, ""),
    ],
)
def test_what_is_not_toml(write: Write, text: bytes, message: str) -> None:
    path = write(text)
    (line,) = problems(path)
    assert line.startswith(f"{path}: not a show in TOML: ") and message in line


def test_a_show_of_more_than_a_megabyte_and_a_pipe_are_refused_at_once(write: Write, tmp_path: Path) -> None:
    assert "cannot be read: more than 1 MB" in problems(write("#" * 1_000_001))[0]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.toml")
        assert "cannot be read: this is a pipe, not a file" in problems(tmp_path / "pipe.toml")[0]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "[[material]]"),
        ('[material]\nname = "x"\nprompt = "p"\n', "[[material]]"),
        ("material = 3", "[[material]]"),
        ("material = [3]", "[[material]] 1"),
        (MATERIAL + "[walks]\nspeed = 1\n", "walks"),
        ("walk = 3\n" + MATERIAL, "walk"),
        ("[walk.speed]\nfast = 1\n" + MATERIAL, "walk.speed"),
        ("title = 3\n" + MATERIAL, "title"),
        (MATERIAL + "weight = '1'\n", "material.clouds"),
        (MATERIAL.replace('"clouds"', '"clouds/x"', 1), "[[material]] 1 name"),
        (MATERIAL + "[look]\ngrain = 1979-05-27\n", "look.grain"),
    ],
)
def test_one_mistake_is_one_line(write: Write, text: str, key: str) -> None:
    (line,) = problems(write(text))
    assert f": {key} " in line


def test_a_file_from_windows_is_fine(write: Write) -> None:
    assert load_show(write("\ufeff" + MATERIAL.replace("\n", "\r\n"))).materials[0].name == "clouds"


def test_an_unknown_show_finds_the_nearest_or_lists_those_there_are() -> None:
    assert problems("hosue") == ["No show named 'hosue'. Did you mean 'house'?"]
    (line,) = problems("zzz")
    assert all(name in line for name in list_shows()) and line.startswith("No show named 'zzz'. There are ")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    assert problems(tmp_path / "nofile.toml") == [f"{tmp_path}/nofile.toml: file not found"]
    assert problems(tmp_path / "galery.toml") == [
        f"{tmp_path}/galery.toml: file not found. Did you mean the show gallery?"
    ]
    assert problems(tmp_path)[0].startswith(f"{tmp_path}: ") and "this is a folder, not a file" in problems(tmp_path)[0]
    assert "file not found" in problems(str(tmp_path / "house"))[0]


def test_a_name_finds_a_file_beside_you(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(MATERIAL)
    monkeypatch.chdir(path.parent)
    assert load_show("mine").path == path
    write("nonsense", "house.toml")
    assert load_show("house").path == configs_dir() / "house.toml"


def test_a_model_folder_lies_beside_its_show(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write('[model]\nname = "./model"\ndecoder = "../tiny"\n' + MATERIAL)
    monkeypatch.chdir("/")
    model = load_show(path).model
    assert model.name == str(path.parent / "model")
    assert model.decoder == str(path.parent.parent / "tiny")
    assert load_show(path, ["model.name=./here"]).model.name == "/here"
    assert load_show(path, ["model.name=owner/name"]).model.name == "owner/name"

"""Shows: those that come with Pedesis, and every way a person can write one wrong."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from engine.show.config import (
    FilmSpec,
    ModelSpec,
    OscSpec,
    Show,
    ShowError,
    StageSpec,
    list_shows,
    list_transitions,
    load_show,
)
from engine.show.paths import configs_dir
from engine.show.specs import CODECS, spec_keys
from engine.walk.spectrum import LOOP_MIN

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
        assert "\n" not in line and re.match(r".+: .+: allowed is .+; given .+", line), line
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
    ("table", "spec"), [("model", ModelSpec), ("osc", OscSpec), ("window", StageSpec), ("film", FilmSpec)]
)
def test_keys_and_spec_agree(table: str, spec: type) -> None:
    keys = {p.name.partition(".")[2]: p.default for p in spec_keys() if p.name.startswith(table + ".")}
    assert {f.name: f.default if f.default is not None else "" for f in fields(spec)} == keys


def test_codecs_are_those_of_the_recorder() -> None:
    from engine.record import encoder

    assert encoder.CODECS == CODECS


def test_transitions_are_those_of_the_shaders() -> None:
    shaders = pytest.importorskip("engine.stage.shaders", reason="no shaders yet")
    assert shaders.list_transitions() == list_transitions()


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
    assert problems(many(17)) == [f"{many(17)}: [[material]]: allowed is 1 to 16 of them; given 17"]


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
        ("walk.sped=1", "--set: walk.sped: allowed is a name that `pedesis params` lists; given '1'; "
                        "did you mean walk.speed?"),
        ("walk.speed=9", "--set: walk.speed: allowed is a number from 0 to 4 phase/s; given 9.0"),
        ("walk.speed=fast", "--set: walk.speed: allowed is a number from 0 to 4 phase/s; given 'fast'"),
        ("walk.speed", "--set: 'walk.speed': allowed is name=value; given no =; did you mean walk.speed?"),
        ("walk.home=1", "--set: walk.home: allowed is nothing here: a trigger is pulled while the show runs; "
                        "given '1'"),
        ("film.width=1281", "--set: film.width: allowed is an even number of pixels; given 1281"),
        ("walk.loop=0.001", "--set: walk.loop: allowed is 0, which is an open walk, or a number from 1 to 10000 phase; "
                            "given 0.001"),
        ("=", "--set: : allowed is a name that `pedesis params` lists; given ''"),
    ],
)  # fmt: skip
def test_a_bad_setting(setting: str, message: str) -> None:
    with pytest.raises(ShowError) as caught:
        load_show("house", [setting])
    assert caught.value.problems == [message]


@pytest.mark.parametrize("loop", ["1e-300", "0.1", "0.999"])
def test_a_loop_too_short_for_a_picture_to_change_in_is_refused(write: Write, loop: str) -> None:
    (line,) = problems(write(f"[walk]\nloop = {loop}\n{MATERIAL}"))
    assert ": walk.loop: allowed is 0, which is an open walk, or a number from 1 to" in line


@pytest.mark.parametrize("loop", [0, -0.0, LOOP_MIN, 6, 10000])
def test_loops_that_close_are_shows(write: Write, loop: float) -> None:
    assert load_show(write(MATERIAL), [f"walk.loop={loop}"]).values["walk.loop"] == loop


def test_a_bad_seed() -> None:
    assert problems("house", seed=-1) == [
        "--seed: walk.seed: allowed is a whole number from 0 to 2147483647; given -1"
    ]


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
        "titel": "did you mean title?", "speed": "did you mean walk.speed?", "model.width": "given 250",
        "model.setps": "did you mean model.steps?", "model.dtype": "did you mean float16?",
        "model.device": "given 'gpu'", "model.name": "given ' '", "walk.sped": "did you mean walk.speed?",
        "walk.speed": "a number from 0 to 4 phase/s; given '0.3'", "walk.seed": "a whole number",
        "walk.nudge": "given 1", "walk.radius": "given nan", "walk.pedesis": "given true",
        "stage.width": "did you mean window.width?",
        "window.fit": "did you mean cover?", "osc.port": "given 70000", "osc.host": "given ''",
        "film.height": "an even number of pixels; given 721",
        "[[material]] 1 name": "did you mean golden_clouds?", "[[material]] 1 prompt": "given ''",
        "material.pulp": "from 0 to 1; given 7", "[[material]] 3 name": "given 'pulp'",
        "[[material]] 3 promt": "did you mean prompt?", "[[material]] 3 prompt": "given nothing",
    }  # fmt: skip
    in_file = {line.split(": ")[1]: line for line in found if line.startswith(str(path))}
    assert in_file.keys() == expected.keys()
    for key, words in expected.items():
        assert words in in_file[key], in_file[key]
    assert len(found) == len(expected) + 2
    assert [line.split(": ")[1] for line in found[-2:]] == ["walk.sped", "look.grain"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[walk\nspeed = 1", "bad syntax: expected ']' at the end of a table declaration (at line 1"),
        (b"[walk]\n\nspeed = fast\n", "bad syntax: invalid value (at line 3"),
        (b"[walk]\nspeed = 1\nspeed = 2\n", "(at line 3"),
        (b"[walk]\nspeed = \xff\n", "bytes that are no UTF-8 text at line 2"),
        (b"a = " + b"[" * 5000, ""),
        (b"#" * 1_000_001, "more than a megabyte"),
    ],
)
def test_what_is_not_toml(write: Write, text: bytes, message: str) -> None:
    path = write(text)
    (line,) = problems(path)
    assert line.startswith(f"{path}: show: allowed is TOML; given ") and message in line


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
    assert f": {key}: " in line


def test_a_file_from_windows_is_fine(write: Write) -> None:
    assert load_show(write("\ufeff" + MATERIAL.replace("\n", "\r\n"))).materials[0].name == "clouds"


def test_an_unknown_show_lists_those_there_are() -> None:
    (line,) = problems("hous")
    assert all(name in line for name in list_shows()) and line.endswith("did you mean house?")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    assert problems(tmp_path / "galery.toml") == [
        f"{tmp_path}/galery.toml: show: allowed is a TOML file; given no such file; did you mean gallery?"
    ]
    assert "given is a directory" in problems(tmp_path)[0]
    assert "no such file" in problems(str(tmp_path / "house"))[0]


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

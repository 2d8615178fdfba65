"""Learning on stage: keys choose and bind, what moves is heard, the file is written."""

from pathlib import Path

import pytest

from engine.play.inputs import Inputs
from engine.play.learning import Learning
from engine.play.shows import load_show

SHOW = """# my own show
[[material]]
name = "clouds"
prompt = "a cloud"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(SHOW)
    return path


def test_a_control_that_moves_is_bound_and_the_file_has_it(path: Path, tmp_path: Path) -> None:
    show = load_show(path)
    inputs = Inputs(show)
    learning = Learning(show, inputs, tmp_path)
    assert learning.key("down") and not learning.key("b"), "other keys do what they always do"
    name = learning._learner.param.name
    for n in range(60):
        inputs.mapper.hear("/fader/7", [n / 59])
    assert any("/fader/7" in line for line in learning.lines(show.values))
    assert learning.key("enter")
    learning.close()
    inputs.drain()
    assert [(e.source, e.to) for e in inputs.mapper.table.entries] == [("/fader/7", name)]
    text = path.read_text()
    assert text.startswith("# my own show") and 'from = "/fader/7"' in text
    assert [e.to for e in load_show(path).things["map"].entries] == [name]
    inputs.mapper.hear("/fader/8", [0.5])
    assert inputs.mapper.tap is None


def test_a_show_that_comes_with_pedesis_is_copied_first(tmp_path: Path) -> None:
    show = load_show("house")
    before = show.path.read_text()
    inputs = Inputs(show)
    learning = Learning(show, inputs, tmp_path)
    for n in range(60):
        inputs.mapper.hear("/fader/7", [n / 59])
    learning.key("enter")
    learning.close()
    assert show.path.read_text() == before and 'from = "/fader/7"' in (tmp_path / "house.toml").read_text()
    assert any("house.toml" in line for line in learning.lines(show.values))

"""What a show is run with on a machine: every choice can be made by the show, and what is not done is said."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.dreamer import memory, models
from engine.dreamer.means import Means
from engine.dreamer.memory import free_bytes, said, savings, total_bytes
from engine.dreamer.models import ModelPlace
from engine.dreamer.spec import DreamSpec
from engine.show.specs import ModelSpec
from engine.walk.palette import Palette
from tests import tiny_models
from tests.card import StandInGraphs

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

CPU, CARD = torch.device("cpu"), torch.device("cuda:0")
GIB = 1 << 30
ALL = dict.fromkeys(("graphs", "half", "tiles", "words"), True)


def test_each_level_of_economy_is_one_measure_more_the_cheapest_first() -> None:
    on_card = [savings(n, ALL, CARD) for n in range(6)]
    assert on_card[0] == set() and on_card[1] == {"graphs"} and on_card[2] == {"graphs", "half"}
    assert on_card[4] == on_card[5] == set(ALL)
    assert savings(1, ALL, CPU) == {"words"} and "graphs" not in savings(9, ALL, CPU)
    assert savings(1, ALL, torch.device("mps")) == {"words"}


def test_no_level_is_spent_on_what_frees_nothing() -> None:
    assert savings(1, ALL | {"graphs": False, "half": False}, CARD) == {"tiles"}
    assert savings(3, {}, CARD) == set()


def test_measures_are_said_in_plain_words() -> None:
    assert said({"tiles", "half"}) == ["half precision", "pictures decoded in tiles"]
    assert len(said(ALL)) == 4 and said(()) == []


def test_a_processor_has_the_machines_memory() -> None:
    assert 0 < free_bytes(CPU) < total_bytes(CPU)


def test_what_torch_holds_on_a_card_and_does_not_use_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2 * GIB, 8 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 3 * GIB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 1 * GIB)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=8 * GIB))
    assert free_bytes(CARD) == 4 * GIB and total_bytes(CARD) == 8 * GIB


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ModelPlace:
    return models.find(str(tiny_models.save("flux", tmp_path_factory.mktemp("models") / "flux")))


def means(place: ModelPlace, economy: int = 0, device: torch.device = CPU, size: int = 64, **model: Any) -> Means:
    spec = ModelSpec(**({"name": str(place.path), "dtype": "float32"} | model))
    return Means(DreamSpec(spec, Palette.of(["torn paper"]), size, size, economy), place, device)


def test_out_of_memory_is_answered_step_by_step_and_said(place: ModelPlace, caplog: pytest.LogCaptureFixture) -> None:
    assert means(place).late == () and not caplog.records
    one, two, three = (means(place, economy=n, size=512) for n in (1, 2, 3))
    assert one.late == ("transformer",) and one.dtype == torch.float32
    assert two.dtype == torch.bfloat16
    assert one.spread(tiny_models.vae((8, 8), 4, 1)) == "whole"
    assert three.spread(tiny_models.vae((8, 8), 4, 1)) == "tiles"
    assert [r.getMessage() for r in caplog.records] == [
        f"less memory is used than the show asks for: {what}"
        for what in (
            "text encoders read from disk for new words",
            "text encoders read from disk for new words, half precision",
            "text encoders read from disk for new words, half precision, pictures decoded in tiles",
        )
    ]


def test_what_the_show_asks_for_already_is_no_measure(place: ModelPlace) -> None:
    assert means(place, 1, size=512, encoders="reread", dtype="bfloat16").saved == {"tiles"}
    assert means(place, 1, size=512, encoders="reread", dtype="bfloat16", decode="tiles").saved == set()


def test_graphs_are_where_a_card_has_them_and_the_show_wants_them(
    place: ModelPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = StandInGraphs()
    monkeypatch.setattr("engine.dreamer.replay.recorder_of", lambda device: graphs if device == CARD else None)
    assert means(place, device=CARD).recorder() is graphs
    assert means(place, device=CARD, graphs=False).recorder() is None
    assert means(place, 1, device=CARD).recorder() is None, "the first that goes when memory is short"
    assert means(place).recorder() is None


def test_nothing_is_compiled_that_the_show_does_not_ask_for(place: ModelPlace) -> None:
    assert not means(place).compiles and means(place, compile=True).compiles
    assert not means(place, 1, device=CARD, compile=True).compiles
    assert not means(place, compile=True, quantize="int8").compiles


def test_a_decoder_that_cannot_tile_is_said(place: ModelPlace, caplog: pytest.LogCaptureFixture) -> None:
    decoder = SimpleNamespace(config=SimpleNamespace(block_out_channels=(128, 256)))
    assert means(place, size=512, decode="tiles").spread(decoder) == "whole"
    assert "this decoder cannot work in tiles, and decodes pictures whole" in caplog.text
    assert means(place, decode="tiles").spread(decoder) == "whole", "one tile is the whole"
    assert means(place, decode="tiles").spread(None) == "whole" and len(caplog.records) == 1


def test_tiles_come_by_themselves_where_a_large_picture_does_not_fit(
    place: ModelPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, how in ((64 * GIB, "whole"), (GIB // 64, "tiles")):
        monkeypatch.setattr(memory, "free_bytes", lambda _, free=free: free)
        assert means(place, size=1024).spread(tiny_models.vae((8, 8), 4, 1)) == how
        assert means(place, size=1024, decode="whole").spread(tiny_models.vae((8, 8), 4, 1)) == "whole"


def test_pictures_so_far_were_decoded_one_way_and_go_on_so(place: ModelPlace) -> None:
    spec = DreamSpec(ModelSpec(name=str(place.path)), Palette.of(["torn paper"]), 512, 512, decode="tiles")
    assert Means(spec, place, CPU).spread(tiny_models.vae((8, 8), 4, 1)) == "tiles"


def test_words_are_read_on_the_processor_where_a_card_is_too_small(
    place: ModelPlace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = tiny_models.flux()
    for total, lines in ((64 * GIB, 0), (1000, 1)):
        monkeypatch.setattr(memory, "total_bytes", lambda _, total=total: total)
        readers = means(place, device=CARD).readers(pipe)
        assert len(caplog.records) == lines
    assert "this card is too small for its text encoders: words are read on the CPU" in caplog.text
    assert readers.with_them(lambda: pipe._execution_device) == CPU and pipe._execution_device == CARD

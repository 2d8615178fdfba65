"""Where a model runs: a card that is late is waited for, and nobody waits for one that will never answer."""

import logging
from pathlib import Path

import pytest
import torch

from engine.dreamer import device
from engine.dreamer.device import nvidia_is_late, pick_device
from engine.dreamer.faults import NotYet
from engine.dreamer.models import ModelError

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA answers here")


def card(folder: Path, vendor: str, kind: str) -> None:
    place = folder / f"0000:{len(list(folder.iterdir())):02x}:00.0"
    place.mkdir()
    (place / "vendor").write_text(vendor + "\n")
    (place / "class").write_text(kind + "\n")


@without_cuda
@pytest.mark.parametrize("wanted", ["auto", "cuda", "cuda:1"])
def test_a_card_that_is_late_is_waited_for(wanted: str) -> None:
    with pytest.raises(NotYet, match="an NVIDIA card is there but CUDA does not answer yet; waiting for its driver"):
        pick_device(wanted, late=lambda: True)


@without_cuda
def test_without_a_card_auto_dreams_on_the_processor_and_cuda_says_so() -> None:
    assert pick_device("auto", late=lambda: False).type in ("cpu", "mps")
    with pytest.raises(ModelError, match=r"model\.device is 'cuda', but .* use 'auto' or 'cpu'"):
        pick_device("cuda", late=lambda: False)


@without_cuda
def test_a_torch_without_cuda_beside_a_card_says_so_and_does_not_wait(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(device, "_nvidia_cards", lambda: True)
    monkeypatch.setattr(device, "_has_driver", lambda: True)
    with caplog.at_level(logging.WARNING, "pedesis"):
        assert pick_device("auto").type in ("cpu", "mps")
    assert "an NVIDIA card is there, but this torch is built without CUDA" in caplog.text
    with pytest.raises(ModelError, match="built without CUDA"):
        pick_device("cuda")


@pytest.mark.parametrize(
    ("cuda", "visible", "cards", "driver", "late"),
    [
        ("13.0", None, True, True, True),
        ("13.0", "0", True, True, True),
        (None, None, True, True, False),
        ("13.0", "", True, True, False),
        ("13.0", "-1", True, True, False),
        ("13.0", None, False, True, False),
        ("13.0", None, True, False, False),
    ],
)
def test_only_what_could_come_is_late(
    monkeypatch: pytest.MonkeyPatch, cuda: str | None, visible: str | None, cards: bool, driver: bool, late: bool
) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(device, "_nvidia_cards", lambda: cards)
    monkeypatch.setattr(device, "_has_driver", lambda: driver)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert nvidia_is_late() is late


def test_a_card_is_known_by_its_maker_and_kind(tmp_path: Path) -> None:
    card(tmp_path, "0x8086", "0x030000")  # Intel's graphics
    card(tmp_path, "0x10de", "0x040300")  # the sound of an NVIDIA card
    there = Path("/proc/driver/nvidia/version").exists() or Path("/dev/dxg").exists()
    assert device._nvidia_cards(tmp_path) is there
    card(tmp_path, "0x10de", "0x030200")
    assert device._nvidia_cards(tmp_path) is True


@without_cuda
def test_a_card_beyond_the_last_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ModelError, match=r"model\.device is 'cuda:3', but this machine has cuda:0 to cuda:1"):
        pick_device("cuda:3")

"""Words: short prompts as the library has them, long ones in pieces, and what a model cannot read is said."""

import logging
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch

from engine.dreamer import emphasis
from engine.dreamer.families import FAMILIES, Family
from engine.dreamer.models import ModelError
from engine.dreamer.palettes import Palettes
from engine.dreamer.prompts import encode, pieces
from engine.dreamer.sampler import Parts, Settings, UNetSampler
from engine.walk.waypoint import Point, Waypoint
from tests import tiny_models

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

SHORT, LONG = "a cloud", "a long shelf of blue and gold memory spheres, one beside another"  # a token a letter, 22 fit
ENDINGS = ("in the night of a storm", "in the light of a lamp")


@pytest.fixture(scope="module")
def sd() -> Any:
    return tiny_models.sd()


@pytest.fixture(scope="module")
def sdxl() -> Any:
    return tiny_models.sdxl()


def picture(pipe: Any, prompts: tuple[str, ...], which: int = 0, guidance: float = 1.0, negative: str = "") -> Any:
    parts = Parts(pipe.unet, pipe.vae, pipe.scheduler, hasattr(pipe, "text_encoder_2"))
    conditioning = encode(pipe, prompts, negative, guidance > 1)
    sampler = UNetSampler(parts, Palettes("", conditioning), Settings(64, 64, 2, guidance, 8), taped=False)
    weights = tuple(float(n == which) for n in range(len(prompts)))
    return sampler.picture(Waypoint(0.0, 0, (Point(3, 1.0, 0.1, 1.0),), weights)).numpy().astype(int)


def told(pipe: Any, text: str, negative: str | None = None) -> Any:
    """What the library's own encode_prompt makes of a text."""
    options = {"device": "cpu", "num_images_per_prompt": 1, "do_classifier_free_guidance": True}
    with torch.no_grad():
        return pipe.encode_prompt(text, negative_prompt=negative, **options)


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_prompts_that_fit_are_encoded_as_the_library_does_it_byte_for_byte(kind: str, request: Any) -> None:
    pipe = request.getfixturevalue(kind)
    mixed = encode(pipe, (SHORT, "torn paper"), "mud", True).mix((0.0, 1.0))
    names = ["prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds"]
    for name, theirs in zip(names, told(pipe, "torn paper", "mud"), strict=False):
        assert torch.equal(mixed[name], theirs), name


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_a_long_prompt_is_encoded_in_pieces(kind: str, request: Any) -> None:
    pipe = request.getfixturevalue(kind)
    parts = pieces(pipe, LONG)
    assert parts == ["a long shelf of blue and", "gold memory spheres, one", "beside another"]
    mixed = encode(pipe, (LONG,), LONG, True).mix((1.0,))
    theirs = [told(pipe, part, part) for part in parts]
    assert mixed["prompt_embeds"].shape[1] == 3 * 24
    assert torch.equal(mixed["prompt_embeds"], torch.cat([t[0] for t in theirs], 1))
    assert torch.equal(mixed["negative_prompt_embeds"], torch.cat([t[1] for t in theirs], 1))
    if kind == "sdxl":
        assert torch.equal(mixed["pooled_prompt_embeds"], theirs[0][2])
        assert torch.equal(mixed["negative_pooled_prompt_embeds"], theirs[0][3])


def test_pieces_hold_all_of_a_text_and_each_one_fits(sd: Any) -> None:
    for text in ("", SHORT, LONG, f"  {LONG}\n{LONG} ", "x" * 100, "x" * 100 + " and more words than fit", "a " * 70):
        parts = pieces(sd, text)
        assert "".join("".join(parts).split()) == "".join(text.split())
        assert all(len(sd.tokenizer(part).input_ids) <= 24 for part in parts)
        assert len(parts) == 1 or all(part.strip() for part in parts[:-1])
    assert pieces(sd, f" {SHORT} ") == [f" {SHORT} "], "what fits is left as it is"


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_prompts_that_differ_in_their_last_words_make_different_pictures(kind: str, request: Any) -> None:
    pipe = request.getfixturevalue(kind)
    one, other = (picture(pipe, (f"{LONG} {ending}",)) for ending in ENDINGS)
    assert np.abs(one - other).max() > 0
    one, other = (picture(pipe, (SHORT,), 0, 4.0, f"{LONG} {ending}") for ending in ENDINGS)
    assert np.abs(one - other).max() > 0


@pytest.mark.parametrize("guidance", [1.0, 4.0])
@pytest.mark.parametrize("kind", ["sd", "sdxl"])
@pytest.mark.parametrize("negative", ["", "mud"])
def test_a_short_material_looks_the_same_beside_a_long_one(
    kind: str, guidance: float, negative: str, request: Any
) -> None:
    pipe = request.getfixturevalue(kind)
    beside = picture(pipe, (SHORT, LONG, f"{LONG} {LONG}"), 0, guidance, negative)
    assert np.abs(beside - picture(pipe, (SHORT,), 0, guidance, negative)).max() <= 1


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    said = [r.getMessage() for r in caplog.records if r.name == "pedesis"]
    caplog.clear()
    return said


def test_words_that_a_model_does_not_read_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    pipe = tiny_models.pixart()
    read = type(pipe.tokenizer).__call__
    text = "torn paper " * 20 + "and a lamp"
    with caplog.at_level(logging.WARNING, "pedesis"):
        encode(pipe, ("a cloud", text), "", False)
        said = warned(caplog)
        encode(pipe, ("a cloud",), text.replace("torn", "worn"), True)
        negative = warned(caplog)
        encode(pipe, ("a cloud", "torn paper"), text, False)
        nothing = warned(caplog)
    assert type(pipe.tokenizer).__call__ is read
    assert len(said) == 1 and said[0].startswith('material 2 ("torn paper torn paper torn paper ..."): ')
    assert "words do not fit this model's text encoder and are dropped: " in said[0] and "and a lamp" in said[0]
    assert len(negative) == 1 and negative[0].startswith("model.negative: ")
    assert nothing == [], "without guidance the negative prompt is not read at all"


def test_a_fragment_that_is_too_long_is_cut_to_one_piece_and_nothing_is_said(
    sd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    text = "torn paper " * 60
    assert len(pieces(sd, text)) > 1
    with caplog.at_level(logging.WARNING, "pedesis"):
        brief = encode(sd, (text,), "", False, is_brief=True)
        encode(tiny_models.pixart(), (text,), "", False, is_brief=True)
    assert warned(caplog) == []
    first = encode(sd, (pieces(sd, text)[0],), "", False)
    assert torch.equal(brief.mix((1.0,))["prompt_embeds"], first.mix((1.0,))["prompt_embeds"])


def test_words_that_another_text_encoder_reads_are_not_called_dropped(caplog: pytest.LogCaptureFixture) -> None:
    pipe = tiny_models.flux()
    with caplog.at_level(logging.WARNING, "pedesis"):
        encode(pipe, (LONG,), "", False)  # CLIP's 24 tokens do not hold it, T5's 512 do
        assert warned(caplog) == []
        encode(pipe, (f"{LONG} " * 20,), "", False)
        assert len(warned(caplog)) == 1
        encode(tiny_models.sd3(), (LONG,), "", False)  # both of its encoders are CLIP's here
        assert len(warned(caplog)) == 1


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipelines below, by the names of what they answer."""
    for kind in (Pipeline, Guided, Nameless, Asking):
        monkeypatch.setitem(FAMILIES, kind.__name__, Family(("", "prompt_attention_mask", "prompt_embeds")))
    monkeypatch.setitem(FAMILIES, "Matching", Family(("prompt_embeds", "negative_prompt_embeds")))


class Pipeline:
    """A pipeline that encodes a prompt as its length, as many times as it is told to."""

    _execution_device = torch.device("cpu")
    config: MappingProxyType[str, object] = MappingProxyType({})

    def encode_prompt(self, prompt: str, times: int = 1, **_: object) -> tuple[object, ...]:
        prompt_embeds = torch.full((1, times, 2), float(len(prompt)))
        prompt_attention_mask = torch.arange(times)[None] < len(prompt)
        positions = torch.zeros(times, 3)
        return positions, prompt_attention_mask.long(), (prompt_embeds if times else None)

    def __call__(self, prompt_embeds: object, prompt_attention_mask: object, times: int = 4, **more: object) -> None:
        """Takes what encode_prompt answers, by name and in another order, and wants it four times."""


class Guided(Pipeline):
    def __call__(  # type: ignore[override]
        self, prompt_embeds: object, prompt_attention_mask: object, negative_prompt_embeds: object, times: int = 4
    ) -> None:
        """As above, and a negative prompt that encode_prompt knows nothing of."""


class Matching(Guided):
    def encode_prompt(self, prompt: str, negative_prompt: str, **_: object) -> tuple[object, ...]:  # type: ignore[override]
        """As long as the prompt is, the negative one too."""
        prompt_embeds = torch.ones(1, len(prompt), 2)
        negative_prompt_embeds = torch.full_like(prompt_embeds, float(len(negative_prompt)))
        return prompt_embeds, negative_prompt_embeds


class Nameless(Pipeline):
    def encode_prompt(self, prompt: str, **_: object) -> tuple[object, ...]:  # type: ignore[override]
        """Another number of parts than is known of it."""
        return torch.zeros(1, 2, 2), None


class Asking(Pipeline):
    def encode_prompt(self, prompt: str, picture: object) -> tuple[object, ...]:  # type: ignore[override]
        raise AssertionError


@pytest.mark.usefixtures("known")
def test_parts_of_a_prompt_are_found_by_name_and_masks_count_a_token_where_any_material_has_one() -> None:
    mixed = encode(Pipeline(), ("a", "abc"), "mud", True).mix((0.5, 0.5))
    assert sorted(mixed) == ["prompt_attention_mask", "prompt_embeds"]
    assert mixed["prompt_embeds"].tolist() == [[[2.0, 2.0]] * 4]
    assert mixed["prompt_attention_mask"].tolist() == [[1, 1, 1, 0]]
    guided = encode(Guided(), ("a", "abc"), "muddy", True).mix((0.5, 0.5))
    assert guided["negative_prompt_embeds"].tolist() == [[[5.0, 5.0]] * 4]
    matching = encode(Matching(), ("a", "abc"), "muddy", True).mix((0.5, 0.5))
    assert matching["prompt_embeds"].tolist() == [[[1.0, 1.0], [0.5, 0.5], [0.5, 0.5]]]  # what is short fades in
    assert matching["negative_prompt_embeds"].tolist() == [[[5.0, 5.0]] * 3]


@pytest.mark.usefixtures("known")
def test_a_pipeline_whose_prompts_cannot_be_encoded_is_one_sentence() -> None:
    with pytest.raises(ModelError, match="Nameless cannot be walked: its encode_prompt answers with 2 parts"):
        encode(Nameless(), ("a",), "", False)
    with pytest.raises(ModelError, match="Asking cannot be walked: its encode_prompt also needs picture; name a"):
        encode(Asking(), ("a",), "", False)


@pytest.mark.parametrize(
    ("text", "plain", "marked"),
    [
        ("a cloud", "a cloud", {}),
        ("a (golden:1.3) cloud", "a golden cloud", {"golden": 1.3}),
        ("a (golden) [red] cloud", "a golden red cloud", {"golden": 1.1, "red": 1 / 1.1}),
        ("((very) far:0.5)", "very far", {"very": 0.55, " far": 0.5}),
        ("a \\(real\\) bracket (", "a (real) bracket (", {}),
        ("loose ) and ] and [half:1.2)", "loose ) and ] and [half:1.2)", {}),
        ("(too much:9)", "too much", {"too much": 3.0}),
        ("(less:-.5) (whole:1.)", "less whole", {"less": -0.5}),
        ("(an [open bracket:1.2) word", "an [open bracket word", {"an [open bracket": 1.2}),
        ("a ((red) sky", "a (red sky", {"red": 1.1}),
    ],
)
def test_marks_are_read_as_other_programs_have_them(text: str, plain: str, marked: dict[str, float]) -> None:
    said, weights = emphasis.read(text)
    assert said == plain and len(weights) == len(said)
    found = {said[a:b]: w for a, b, w in emphasis.runs(weights)}
    assert found == pytest.approx(marked)


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_a_word_with_a_weight_moves_its_own_tokens_and_no_others(kind: str, request: Any) -> None:
    pipe = request.getfixturevalue(kind)
    plain, marked = (
        encode(pipe, (text,), "", False).mix((1.0,))["prompt_embeds"] for text in ("a red sky", "a (red:1.5) sky")
    )
    empty = encode(pipe, ("",), "", False).mix((1.0,))["prompt_embeds"]
    moved = (marked - plain).abs().amax((0, 2)) > 1e-7
    assert moved.nonzero().flatten().tolist() == [2, 3, 4]  # a letter a token, after the one that begins the text
    torch.testing.assert_close(marked[:, 2:5], empty[:, 2:5] + 1.5 * (plain - empty)[:, 2:5])


def test_weights_reach_over_the_pieces_of_a_long_text_and_into_the_negative_prompt(sd: Any) -> None:
    marked = LONG.replace("beside another", "(beside another:1.4)")
    plain, other = (encode(sd, (text,), "", False).mix((1.0,))["prompt_embeds"] for text in (LONG, marked))
    where = ((other - plain).abs().amax((0, 2)) > 1e-7).nonzero().flatten()
    assert where.min() == 49 and len(where) == len("besideanother")  # in the last of three pieces of 24
    names = ("negative_prompt_embeds", "prompt_embeds")
    mud, more = (encode(sd, (SHORT,), text, True).mix((1.0,)) for text in ("mud", "(mud:1.5)"))
    assert [torch.equal(mud[n], more[n]) for n in names] == [False, True]


def test_brackets_of_a_fragment_and_of_other_families_are_their_own(sd: Any) -> None:
    brief = encode(sd, ("a (red:1.5) sky",), "", False, is_brief=True).mix((1.0,))["prompt_embeds"]
    assert not torch.equal(brief, encode(sd, ("a red sky",), "", False).mix((1.0,))["prompt_embeds"])
    flux = tiny_models.flux()
    one, other = (encode(flux, (text,), "", False).mix((1.0,))["prompt_embeds"] for text in ("(red)", "red"))
    assert not torch.equal(one, other), "Flux is given the brackets themselves"

"""The text encoder's script on a tiny scale: vocabulary, a few steps, export, plain loading, evaluation."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPTextModel, CLIPTokenizer

from scripts.house_model import words, words_land, words_lexicon, words_more, words_teacher, words_wordnet
from scripts.house_model.words_corpus import Corpus, build_corpus
from scripts.house_model.words_eval import states
from scripts.house_model.words_lexicon import GROUPS, NAMES, PROBES, Lexicon, colour_attributes, holds_probe

TEACHER = words_teacher.PACKAGE
TINY = words.Size(vocabulary=700, width=32, layers=2, heads=4, batch=16, bag_steps=20)


def tiny_corpus() -> tuple[Corpus, np.ndarray]:
    """Colours and feelings with things; a phrase's embedding is the sum of its words' random vectors."""
    rng = np.random.default_rng(3)
    firsts, things = [*GROUPS["colour"], *GROUPS["feeling"]], ["clouds", "paper", "sphere", "shelf", "river"]
    phrases = firsts + things + [f"{f} {t}" for f in firsts for t in things]
    vectors = {w: rng.normal(size=24) for w in firsts + things}
    embeddings = np.stack([sum(vectors[w] for w in p.split()) for p in phrases])
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    lexicon = Lexicon({n: np.eye(len(NAMES), dtype=np.float32)[i] for i, n in enumerate(NAMES)}, {})
    count = len(phrases)
    corpus = Corpus(phrases, np.full(count, 4), np.ones(count, np.float32),
                    np.stack([lexicon.of(p) for p in phrases]).astype(np.float16), np.arange(count) % 4 == 3)
    return corpus, embeddings.astype(np.float16)


@pytest.fixture(scope="module", autouse=True)
def no_teacher() -> Iterator[None]:
    """One that is installed gives embeddings of another size than the tiny corpus has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words_teacher, "PACKAGE", "no_such_teacher")
        yield


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small lose more to threads waiting for each other than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny student, trained for a few steps and exported: (work, out)."""
    work, out = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("out")
    corpus, embeddings = tiny_corpus()
    words.prepare(work, TINY, corpus=corpus, embeddings=embeddings)
    words.train(work, 1.0, "cpu", TINY, most_steps=16)
    words.export(work, out)
    return work, out


def test_loads_plainly_without_a_warning(made: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    library = logging.getLogger("transformers")
    library.addHandler(caplog.handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tokenizer = CLIPTokenizer.from_pretrained(made[1] / "tokenizer")
            model, report = CLIPTextModel.from_pretrained(made[1] / "text_encoder", output_loading_info=True)
    finally:
        library.removeHandler(caplog.handler)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert tokenizer.model_max_length == 24
    assert model.dtype == torch.float16
    assert (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id) == (0, 1, 1)


def test_pooled_output_is_the_state_at_the_end(made: tuple[Path, Path]) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(made[1] / "tokenizer")
    model = CLIPTextModel.from_pretrained(made[1] / "text_encoder", dtype=torch.float32).eval()
    ids = words.tokenise(tokenizer, ["blue clouds", "joy"])
    with torch.inference_mode():
        out = model(input_ids=ids)
    end = (ids == 1).int().argmax(1)
    assert ids.shape == (2, 24)
    assert torch.equal(out.pooler_output, out.last_hidden_state[torch.arange(2), end])


def test_unseen_letters_do_not_end_the_text(made: tuple[Path, Path]) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(made[1] / "tokenizer")
    ids = tokenizer("Été 漢字 ж ☂ !").input_ids
    assert ids[0] == 0 and ids[-1] == 1 and 1 not in ids[1:-1]
    assert tokenizer("BLUE").input_ids == tokenizer("blue").input_ids


def test_a_phrase_is_one_thing_in_any_batch(made: tuple[Path, Path]) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(made[1] / "tokenizer")
    model = CLIPTextModel.from_pretrained(made[1] / "text_encoder", dtype=torch.float32).eval()
    alone = states(model, tokenizer, ["blue clouds"])
    among = states(model, tokenizer, ["joy", "blue clouds", "a red paper sphere on a shelf"])
    assert torch.allclose(alone[0], among[1], atol=1e-5)


def test_training_goes_on_from_its_checkpoint_and_learns(made: tuple[Path, Path], tmp_path: Path) -> None:
    corpus, embeddings = tiny_corpus()
    words.prepare(tmp_path, TINY, corpus=corpus, embeddings=embeddings)
    words.train(tmp_path, 1.0, "cpu", TINY, most_steps=8)
    first = torch.load(tmp_path / "student.pt", weights_only=True)
    words.train(tmp_path, 1.0, "cpu", TINY, most_steps=24)
    then = torch.load(tmp_path / "student.pt", weights_only=True)
    assert (first["step"], then["step"]) == (8, 24) and then["elapsed_s"] > first["elapsed_s"]
    rows = [[float(v) for v in line.split(",")] for line in (tmp_path / "loss.csv").read_text().splitlines()]
    assert rows[-1][2] < rows[0][2]


def test_evaluation_reports_probes_agreement_and_size(made: tuple[Path, Path]) -> None:
    found = words.evaluate(made[1], made[0])
    assert 0 <= found["right flat '{}'"] <= 1
    assert -1 <= found["spearman composed mean"] <= 1
    assert 0 < found["megabytes"] < 12


def test_more_words_leave_captions_as_they_were(made: tuple[Path, Path], tmp_path: Path) -> None:
    captions = ["blue clouds", "red paper", "joy on a shelf", "grey clouds"]
    before = CLIPTokenizer.from_pretrained(made[1] / "tokenizer")
    wanted = ["sadness", "violet", "wonder", "loneliness"]
    used, apart = words_more.caption_tokens(before, captions)
    after = words_more.extend(before, [w for w in wanted if len(before.tokenize(w)) > 1], apart, 20, tmp_path)
    assert len(before) <= len(after) <= len(before) + 20 and len(used) > 4
    words_more.teach(made[0], tmp_path, 0.02, captions=captions)
    assert words_more.drift(made[1], tmp_path, captions) == {"largest change": 0.0, "tokens changed": 0.0}


def test_weather_is_seen_in_the_sky_unless_a_place_is_named() -> None:
    lexicon = Lexicon({n: np.eye(len(NAMES), dtype=np.float32)[i] for i, n in enumerate(NAMES)}, {})

    def of(phrase: str) -> set[str]:
        return {n for n, much in zip(NAMES, lexicon.of(phrase), strict=True) if much > 0}

    assert of("storm") == {"storm", "cloud"}
    assert of("storm paper") == {"storm", "paper"}
    assert of("blue") == {"blue"}


def test_a_phrase_lands_between_the_nearest_captions_of_one_world_or_of_those_it_names() -> None:
    marks, states = torch.eye(4), torch.tensor([[1.0, 0], [3, 0], [0, 1], [0, 3]])
    worlds = torch.tensor([[True, False], [True, False], [False, True], [False, True]])
    phrases = torch.tensor([[1.0, 1, 0, 0], [0.5, 0.5, 0.7, 0.4], [0, 0, 1, 0], [1, 1, 0, 0]])
    names = torch.tensor([[False, False], [True, False], [False, True], [True, True]])
    landed = words_land.landing(phrases, names, marks, worlds, states)
    assert torch.allclose(landed[0], torch.tensor([2.0, 0.0]))
    assert landed[1][0] == 0 and 1 < landed[1][1] < 1.01
    assert torch.allclose(landed[2], torch.tensor([0.0, 1.0]))
    assert torch.allclose(landed[3], torch.tensor([1.0, 1.0]))


def test_a_phrase_names_worlds_by_their_own_words() -> None:
    lexicon = Lexicon({n: np.eye(len(NAMES), dtype=np.float32)[i] for i, n in enumerate(NAMES)}, {})
    phrases = ["paper and cloud", "a blue sphere", "storm", "blue"]
    named = words_land.named(np.stack([lexicon.of(p) for p in phrases]))
    assert named.tolist() == [[True, True, False], [False, False, True], [True, False, False], [False, False, False]]


def test_whatever_is_said_lands_where_captions_are_and_they_stay(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words_land, "train", partial(words_land.train, batch=32))
    lexicon = Lexicon({n: np.eye(len(NAMES), dtype=np.float32)[i] for i, n in enumerate(NAMES)}, {})
    corpus, embeddings = tiny_corpus()
    worlds = {"clouds": "clouds", "paper": "pulp", "shelf": "memory"}
    shown = {f"{colour} {thing}": world for thing, world in worlds.items() for colour in ("blue", "red", "gold")}
    rows = [corpus.phrases.index(caption) for caption in shown]
    before, after = (
        words_land.land(made[0], made[1], tmp_path, 9.0, lexicon, shown, embeddings[rows], steps) for steps in (0, 80)
    )
    assert before["captions moved"] == 0 and after["captions moved"] < 0.2
    assert after["held-out phrases from their places"] < 0.8 * before["held-out phrases from their places"]
    CLIPTextModel.from_pretrained(tmp_path / "text_encoder")
    CLIPTokenizer.from_pretrained(tmp_path / "tokenizer")


def test_full_size_stays_under_twelve_megabytes() -> None:
    with torch.device("meta"):
        student = words.Student(words.Size(), 384 + len(NAMES))
    assert 2 * sum(p.numel() for p in student.encoder.parameters()) < 12e6


def test_no_list_holds_a_probe() -> None:
    assert not [w for w in words_lexicon.listed() if holds_probe(w)]
    assert not [n for n in words_lexicon.colour_names() if holds_probe(n)]
    for word, (answer, group) in PROBES.items():
        assert set(answer.split("|")) <= set(GROUPS[group]), word


def test_colours_are_read_from_their_numbers() -> None:
    assert NAMES[int(colour_attributes("#1030c0").argmax())] == "blue"
    assert NAMES[int(colour_attributes("#f0f0f0").argmax())] == "white"


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="wordnet-base"):
        words_wordnet.read()
    with pytest.raises(FileNotFoundError, match="training extra"):
        words_teacher.teacher_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"student\.pt"):
        words.export(tmp_path, tmp_path / "out")


def test_wordnet_says_what_things_look_like() -> None:
    try:
        net = words_wordnet.read()
    except FileNotFoundError as lacking:
        pytest.skip(str(lacking))
    lexicon = words_lexicon.build(net)
    for word, name in (("sapphire", "blue"), ("ruby", "red"), ("grief", "sadness"), ("bookcase", "shelf")):
        assert NAMES[int(lexicon.of(word).argmax())] == name
    corpus = build_corpus(size=0.01, net=net, lexicon=lexicon)
    assert len(set(corpus.phrases)) == len(corpus.phrases) == len(corpus.kind) == len(corpus.attributes)
    made_up = [p for p, k in zip(corpus.phrases, corpus.kind, strict=True) if k >= 3]
    assert not [p for p in made_up if holds_probe(p)]


def test_the_teacher_knows_its_synonyms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words_teacher, "PACKAGE", TEACHER)
    try:
        teacher = words_teacher.teacher_folder()
    except FileNotFoundError as lacking:
        pytest.skip(str(lacking))
    phrases = ["rain", "rainfall", "a legal contract"]
    first, second, other = words_teacher.embed(phrases, teacher, tmp_path).astype(float)
    assert first @ second > first @ other

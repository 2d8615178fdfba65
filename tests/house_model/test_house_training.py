"""The house model's training: tiny nets, a few steps a stage, resumed and unbroken runs alike, plain export."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from scripts import train_house_model  # noqa: E402
from scripts.house_model import (  # noqa: E402
    adopt,
    autoencoder,
    card,
    data,
    diffusion,
    distill,
    evaluate,
    export,
    finish,
    painter,
    texture,
    training,
)
from scripts.house_model.training import Budget, Job, fit, generator  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Nets this small lose more to threads waiting for each other than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny_words(folder: Path) -> Path:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    letters = [chr(97 + i) for i in range(26)]
    vocab = {t: i for i, t in enumerate(letters + [c + "</w>" for c in letters] + ["<|startoftext|>", "<|endoftext|>"])}
    tokenizer = CLIPTokenizer(
        vocab=vocab, merges=[], bos_token="<|startoftext|>", eos_token="<|endoftext|>",
        pad_token="<|endoftext|>", unk_token="<|endoftext|>", model_max_length=24,
    )
    tokenizer.save_pretrained(folder / "tokenizer")
    torch.manual_seed(0)
    CLIPTextModel(CLIPTextConfig(
        vocab_size=len(vocab), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=24, eos_token_id=vocab["<|endoftext|>"], bos_token_id=vocab["<|startoftext|>"],
    )).save_pretrained(folder / "text_encoder")
    return folder


def tiny_unet() -> torch.nn.Module:
    torch.manual_seed(1)
    return diffusion.build(widths=(16, 16, 16), condition=32)


def tiny_vae() -> torch.nn.Module:
    torch.manual_seed(2)
    return autoencoder.build(channels=(8, 8, 8, 8, 8))


def fit_vae(work: Path, steps: int, slice_steps: float = float("inf"), shard_mib: float = 0) -> torch.nn.Module:
    x = torch.rand(8, 3, 32, 32, generator=generator(0, "pictures", 0)) * 2 - 1
    budget = Budget(steps=steps)
    job = Job("autoencoder", work, tiny_vae(), budget, lr=1e-3, matrices_lr=1e-3, warmup_steps=2, shard_mib=shard_mib)

    def step(model: torch.nn.Module, n: int) -> dict[str, torch.Tensor]:
        if n >= slice_steps:
            raise KeyboardInterrupt
        return autoencoder.step_loss(model, x, generator(0, "t", n))

    return fit(job, step)


def test_what_the_words_will_want_is_asked_for_before_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path))
    work = tmp_path / "work"
    with pytest.raises(SystemExit, match=rf"WordNet is required \(data.noun in {tmp_path}\).*wordnet-base"):
        train_house_model.main(["--work", str(work)])
    assert not work.exists()
    train_house_model.look_for_teachers(train_house_model.options(["--work", str(work), "--stages", "render,texture"]))
    (work / "export" / "text_encoder").mkdir(parents=True)
    (work / "export" / "text_encoder" / "model.safetensors").touch()
    train_house_model.look_for_teachers(train_house_model.options(["--work", str(work)]))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_render_paints_what_is_missing_and_a_gpu_paints_blocks_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    asked: list[list[int]] = []

    def paint(n: int, size: int, seed: list[int], device: str) -> painter.Painted:
        asked.append(seed)
        made = torch.tensor(seed, dtype=torch.float32).repeat_interleave(n).view(-1, 1, 1, 1) / 255
        notes = [{"seed": s, "k": k} for s in seed for k in range(n)]
        return painter.Painted(made.expand(-1, 3, 4, 4), [("a", "b")] * len(notes), torch.zeros(len(notes)), notes)

    monkeypatch.setattr(painter, "paint", paint)
    assert data.render(tmp_path, 64, 4, first_seed=1, device=device) == 64
    assert data.render(tmp_path, 20 * 64, 4, device=device) == 19 * 64
    assert [s for seeds in asked for s in seeds] == [1, 0, *range(2, 20)]
    assert max(map(len, asked)) == (data.BLOCKS_AT_ONCE if device == "cuda" else 1)
    pictures = data.Pictures(data.folder(tmp_path, painter))
    assert len(pictures) == 20 * 64
    for block, pixels in enumerate(pictures.blocks):
        assert (pixels == block).all()
        assert pictures.notes[block * 64 + 3]["attributes"] == {"seed": block, "k": 3}


def test_resumed_run_equals_unbroken(tmp_path: Path) -> None:
    whole = fit_vae(tmp_path / "a", 6)

    class Cut(Exception):
        pass

    x = torch.rand(8, 3, 32, 32, generator=generator(0, "pictures", 0)) * 2 - 1
    job = Job("autoencoder", tmp_path / "b", tiny_vae(), Budget(steps=6, save_minutes=0), lr=1e-3,
              matrices_lr=1e-3, warmup_steps=2)

    def cut_after_three(model: torch.nn.Module, n: int) -> dict[str, torch.Tensor]:
        if n == 3:
            raise Cut
        return autoencoder.step_loss(model, x, generator(0, "t", n))

    with pytest.raises(Cut):
        fit(job, cut_after_three)
    assert json.loads((tmp_path / "b/autoencoder/state.json").read_text())["step"] == 3
    again = fit_vae(tmp_path / "b", 6)
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_light_checkpoints_come_in_small_files(tmp_path: Path) -> None:
    fit_vae(tmp_path, 2, shard_mib=0.02)
    files = list((tmp_path / "autoencoder").glob("ckpt-*.safetensors"))
    assert len(files) > 1 and max(f.stat().st_size for f in files) < 40_000
    loaded = training.load_average(tmp_path, "autoencoder", tiny_vae())
    assert all(torch.isfinite(p).all() for p in loaded.parameters())


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    fit_vae(tmp_path, 12)
    x = torch.rand(8, 3, 32, 32, generator=generator(0, "pictures", 0)) * 2 - 1
    trained = training.load_average(tmp_path, "autoencoder", tiny_vae())
    with torch.no_grad():
        before, after = (
            float(autoencoder.step_loss(m, x, generator(0, "t", 1))["loss"]) for m in (tiny_vae(), trained)
        )
    assert after < before


def test_orthogonal_has_unit_singular_values() -> None:
    m = torch.randn(24, 60, generator=generator(0, "m", 0))
    s = torch.linalg.svdvals(training.orthogonal(m))
    assert s.min() > 0.5 and s.max() < 1.5


def test_folded_latents_are_unit_and_decode_the_same() -> None:
    class Few:
        x = torch.rand(4, 3, 64, 64, generator=generator(0, "few", 0)) * 2 - 1

        def __len__(self) -> int:
            return 4

        def batch(self, which: list[int]) -> torch.Tensor:
            return self.x[which]

    vae = tiny_vae().eval()
    with torch.no_grad():
        before = vae.decode(autoencoder.encode(vae, Few.x)).sample
        diffusion.unit_latents(vae, Few(), "cpu")
        z = autoencoder.encode(vae, Few.x)
        after = vae.decode(z).sample
    assert z.mean((0, 2, 3)).abs().max() < 1e-3 and (z.std((0, 2, 3)) - 1).abs().max() < 1e-2
    assert torch.allclose(before, after, atol=1e-4)


def test_flow_and_window_losses_reach_the_student() -> None:
    teacher, student = tiny_unet().eval(), tiny_unet()
    both = (teacher, distill.apart(teacher))
    z, cond = torch.randn(2, 16, 4, 4), torch.randn(2, 24, 32)
    for losses in (
        diffusion.flow_loss(student, z, cond, generator(0, "f", 0)),
        distill.window_loss(student, both, z, cond, cond[:1], generator(0, "w", 0), substeps=2),
    ):
        losses["loss"].backward()
    assert all(p.grad is not None for p in student.parameters())


def test_apart_no_place_attends_to_another_and_the_teacher_is_as_it_was() -> None:
    teacher = tiny_unet().eval()
    z, cond, sigma = torch.randn(2, 16, 4, 4), torch.randn(2, 24, 32), torch.tensor([0.3, 0.8])
    with torch.no_grad():
        before = diffusion.velocity(teacher, z, sigma, cond)
        other = distill.apart(teacher)
        assert torch.equal(diffusion.velocity(teacher, z, sigma, cond), before)
        assert not torch.allclose(diffusion.velocity(other, z, sigma, cond), before)
        for unet, alone in ((teacher, False), (other, True)):
            attention = next(m for name, m in unet.named_modules() if name.endswith(".attn1"))
            x = torch.randn(1, 4, attention.to_q.in_features)
            y = attention(x)
            x[:, 3] += 1.0
            assert torch.equal(attention(x)[:, :3], y[:, :3]) is alone
            assert not torch.allclose(attention(x)[:, 3], y[:, 3])


def test_export_is_a_plain_folder_and_samples_alike(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from diffusers import DiffusionPipeline
    from diffusers.utils import logging as diffusers_logging

    words = tiny_words(tmp_path / "words")
    vae, unet = tiny_vae().eval(), tiny_unet().eval()
    mb = export.assemble(vae, unet, words, tmp_path / "model", card="A card.\n")
    assert 0 < mb < 5 and (tmp_path / "model/README.md").exists()
    logger = diffusers_logging.get_logger("diffusers")
    logger.addHandler(caplog.handler)
    with warnings.catch_warnings(record=True) as seen, caplog.at_level(logging.WARNING):
        warnings.simplefilter("always")
        pipe = DiffusionPipeline.from_pretrained(tmp_path / "model")
    logger.removeHandler(caplog.handler)
    # About the machine (no torchvision) and not about the model: transformers may say it once a process.
    said = [r.getMessage() for r in caplog.records] + [str(w.message) for w in seen if "diffusers" in str(w.filename)]
    assert not [s for s in said if "torchvision" not in s], said

    pipe.set_progress_bar_config(disable=True)
    cond = diffusion.Words(tmp_path / "model")(["a cloud"])
    for size, steps in (((128, 128), 4), ((128, 192), 2)):
        noise = torch.randn(1, 16, size[0] // 16, size[1] // 16, generator=generator(0, "noise", 0))
        theirs = pipe("a cloud", height=size[0], width=size[1], num_inference_steps=steps, guidance_scale=1.0,
                      latents=noise, output_type="latent").images
        ours = diffusion.sample(pipe.unet, noise, cond, steps)
        assert torch.allclose(theirs.float(), ours, atol=0.05), float((theirs - ours).abs().max())


def test_a_decoder_is_made_to_fit_half_precision_and_decodes_the_same() -> None:
    vae = autoencoder.build((16, 16, 32, 48), 8).eval()
    with torch.no_grad():
        vae.decoder.conv_in.weight *= 3e5  # as training may leave it: group norms do not mind
        for name, p in vae.decoder.named_parameters():
            if name.endswith("bias"):
                p.add_(torch.randn(p.shape, generator=generator(0, "bias", 0)) * 0.3)
    z = torch.randn(2, 8, 8, 8, generator=generator(0, "half", 0))
    with torch.no_grad():
        before = vae.decode(z).sample
        assert not torch.isfinite(copy.deepcopy(vae).half().decode(z.half()).sample).all()
        export.fit_half(vae)
        assert torch.allclose(vae.decode(z).sample, before, atol=1e-3)
        once = copy.deepcopy(vae.state_dict())
        export.fit_half(vae)  # what fits is left as it is
        assert all(torch.equal(once[name], value) for name, value in vae.state_dict().items())
        assert torch.isfinite(vae.half().decode(z.half()).sample).all()


def test_a_decoder_made_to_fit_half_precision_is_trained_on_at_its_old_size() -> None:
    vae = tiny_vae().eval()
    before = copy.deepcopy(vae.state_dict())
    export.scale_stream(vae, 2.0**-7)
    assert any(not torch.equal(before[name], value) for name, value in vae.state_dict().items())
    adopt.unfit_half(vae)
    assert all(torch.equal(before[name], value) for name, value in vae.state_dict().items())


def test_an_export_is_where_a_new_training_begins(tmp_path: Path) -> None:
    vae, unet = tiny_vae().eval(), tiny_unet().eval()
    export.assemble(vae, unet, tiny_words(tmp_path / "words"), tmp_path / "model")
    work = tmp_path / "work"
    assert adopt.begin(tmp_path / "model", work) == ["autoencoder", "diffusion"]
    for stage, empty, given in (("autoencoder", tiny_vae(), vae), ("diffusion", tiny_unet(), unet)):
        with torch.no_grad():
            for p in empty.parameters():
                p.zero_()
        begun = training.load_average(work, stage, empty)
        for a, b in zip(begun.parameters(), given.parameters(), strict=True):
            assert torch.equal(a, b.half().float())
    assert (work / "export/text_encoder/model.safetensors").exists() and (work / "export/tokenizer").is_dir()
    trained = fit_vae(work, 1)
    assert json.loads((work / "autoencoder/state.json").read_text())["step"] == 1
    assert adopt.begin(tmp_path / "model", work) == []  # what has been trained since stays
    again = training.load_average(work, "autoencoder", tiny_vae())
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), again.parameters(), strict=True))


def test_the_distance_tells_soft_pictures_from_crisp_ones() -> None:
    g = generator(0, "crisp", 0)
    crisp, other = torch.rand(2, 6, 3, 64, 64, generator=g)
    soft = torch.nn.functional.avg_pool2d(crisp, 3, 1, 1)
    assert [tuple(level.shape[2:]) for level in evaluate.pyramid(crisp)] == [(64, 64), (32, 32), (16, 16), (8, 8)]

    def far(x: torch.Tensor) -> float:
        return evaluate.sliced_wasserstein(x, crisp, generator(0, "slices", 0))

    assert far(other) < far(soft) / 2


@pytest.mark.parametrize("steps", [1, 2])
def test_finishing_teaches_the_last_step_whichever_it_is(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tiny_unet().eval().requires_grad_(False)
    torch.manual_seed(3)
    pair = finish.Pair(tiny_unet().eval(), finish.Critic(width=16, condition=32, depth=1))
    g = generator(0, "finish", 0)
    cond, noise = torch.randn(4, 24, 32, generator=g), torch.randn(4, 16, 8, 8, generator=g)
    whole = diffusion.sample(before, noise, cond, steps)
    due = finish.last_step(before, finish.almost(before, noise, cond, steps), cond, steps)
    assert torch.allclose(due, whole, atol=1e-5), "all steps but the last, and the last, are all steps"
    paintings = (3 * torch.randn(4, 16, 8, 8, generator=g), cond)

    def lesson(learns: bool) -> dict[str, torch.Tensor]:
        return finish.step_loss(pair, before, (noise, cond, due), paintings, steps, learns)

    lesson(learns=False)["loss"].backward()
    assert all(p.grad is None for p in pair.dreamer.parameters()), "the critic's lesson is its own"
    assert all(p.grad is not None for p in pair.critic.parameters())
    pair.zero_grad(set_to_none=True)
    first = lesson(learns=True)
    assert float(first["moved"]) == float(first["keep"]) == float(first["hold"]) == 0.0
    for held, weight in (("LEARN", 1.0), ("KEEP", 0.0), ("STAY", 0.0), ("HOLD", 0.0)):
        monkeypatch.setattr(finish, held, weight)  # or it would take long to be seen
    rate = torch.optim.Adam([{"params": pair.dreamer.parameters(), "lr": 1e-3},
                             {"params": pair.critic.parameters(), "lr": 1e-3}])  # fmt: skip
    for n in range(40):
        rate.zero_grad()
        lesson(learns=n > 12)["loss"].backward()
        rate.step()
    assert lesson(learns=True)["moved"] > 1e-3
    made = diffusion.sample(pair.dreamer, noise, cond, steps)
    assert abs(float(made.std()) - 3) < abs(float(due.std()) - 3), "dreams are to grow as large as paintings"


def test_texture_is_taught_to_the_decoder_and_latents_mean_what_they_did() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        pair = texture.Pair(autoencoder.build((8, 8, 16, 16), 8).eval(), texture.Critic(width=8))
    x = torch.rand(2, 3, 64, 64, generator=generator(0, "texture", 0)) * 2 - 1
    z = torch.randn(2, 8, 8, 8, generator=generator(0, "texture", 1))
    small = torch.zeros(2, 3, 8, 8)

    def loss(learns: bool, painted: float, dreamt: float) -> dict:
        paintings, dreams = (x, torch.full((2,), painted)), (z, small, torch.full((2,), dreamt))
        return texture.step_loss(pair, paintings, dreams, generator(0, "texture", 2), learns)

    def moved(part: torch.nn.Module) -> bool:
        return any(p.grad is not None and p.grad.abs().max() > 0 for p in part.parameters())

    loss(learns=False, painted=1, dreamt=1)["loss"].backward()
    assert moved(pair.critic) and not moved(pair.vae)
    pair.zero_grad(set_to_none=True)
    whole = loss(learns=True, painted=1, dreamt=1)
    whole["loss"].backward()
    assert moved(pair.vae.decoder) and not moved(pair.vae.encoder) and not moved(pair.vae.quant_conv)
    none = loss(learns=True, painted=0, dreamt=0)
    due = none["loss"] + texture.AMOUNT * whole["amount"] - texture.LEARN * whole["liked"]
    assert torch.isclose(whole["loss"], due, atol=3e-3), "the share is that of texture alone"


def test_the_amount_of_detail_is_counted_by_place_and_not_by_likeness() -> None:
    g = generator(0, "amount", 0)
    soft = torch.full((1, 3, 64, 64), 0.2)
    rough = soft.clone()
    rough[..., :32] += 0.1 * torch.randn(1, 3, 64, 32, generator=g)
    other = soft.clone()
    other[..., :32] += 0.1 * torch.randn(1, 3, 64, 32, generator=g)
    elsewhere = other.flip(-1)
    assert texture.amount(rough, rough) == 0
    assert texture.amount(other, rough) < 0.2 * texture.amount(soft, rough)
    assert texture.amount(elsewhere, rough) > 1.5 * texture.amount(soft, rough)


def test_the_card_does_not_claim_random_weights_for_what_began_from_an_export(tmp_path: Path) -> None:
    assert card.training_note(tmp_path).startswith("From random weights")
    export.assemble(tiny_vae().eval(), tiny_unet().eval(), tiny_words(tmp_path / "words"), tmp_path / "model")
    adopt.begin(tmp_path / "model", tmp_path / "work")
    fit_vae(tmp_path / "work", 1)
    assert card.training_note(tmp_path / "work").startswith("From the exported model model on two CPU cores")

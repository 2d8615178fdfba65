"""What the dreamer adds to a show: which model dreams, and how.

Plain data, any process; no torch.
"""

import re

from engine.dreamer.recipes import RECIPES, is_options
from engine.show.params import Param, Rule
from engine.show.part import Part, Things
from engine.show.specs import ModelSpec

_SIDE = Rule(lambda v: v % 8 == 0, "a multiple of 8 pixels from 64 to 4096")
_DEVICE = Rule(
    lambda v: re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,2})?", v) is not None,
    "auto, cpu, mps, cuda or cuda:N",
)


def _params(things: Things) -> list[Param]:
    return [
        Param("model.name", "text", ModelSpec.name,
              "The built-in model (house), a folder, a .safetensors file, or a Hugging Face repository.",
              lands="start", rule=Rule(lambda v: bool(v.strip()), "a name, a folder, a file or a repository")),
        Param("model.steps", "integer", ModelSpec.steps, "Sampling steps a picture; fewer is faster.",
              1, 100, lands="start"),
        Param("model.guidance", "number", ModelSpec.guidance,
              "How hard prompts are pressed home; 1 is no guidance, and twice as fast.", 1, 30, lands="start"),
        Param("model.width", "integer", ModelSpec.width, "Width of a dreamt picture, a multiple of 8.",
              64, 4096, "pixels", lands="start", rule=_SIDE),
        Param("model.height", "integer", ModelSpec.height, "Height of a dreamt picture, a multiple of 8.",
              64, 4096, "pixels", lands="start", rule=_SIDE),
        Param("model.dtype", "choice", ModelSpec.dtype, "Arithmetic of the model.",
              choices=("auto", "float32", "float16", "bfloat16"), lands="start"),
        Param("model.device", "text", ModelSpec.device, "Where the model runs.", lands="start", rule=_DEVICE),
        Param("model.decoder", "text", "", "A tiny decoder in place of the model's own.", lands="start"),
        Param("model.scheduler", "text", "", "A diffusers scheduler class in place of the model's own.",
              lands="start"),
        Param("model.scheduler_options", "text", "",
              "Settings of the scheduler, as in timestep_spacing=trailing, timesteps=[999, 749], eta=0.3.",
              lands="start", rule=Rule(is_options, "name=value, separated by commas, as in shift=3")),
        Param("model.recipe", "choice", ModelSpec.recipe,
              "Scheduler and settings of a few-step family, as its authors sample it.",
              choices=("none", *RECIPES), lands="start"),
        Param("model.negative", "text", ModelSpec.negative, "What to keep away from, when there is guidance.",
              lands="start"),
        Param("model.control", "text", "",
              "A ControlNet for this model, which keeps a guide's lines (guide.outline): a folder or a repository.",
              lands="start"),
        Param("model.control_hint", "choice", ModelSpec.control_hint,
              "What the ControlNet is shown: a guide's lines (canny), or its picture as it is: depth, a pose.",
              choices=("canny", "picture"), lands="start"),
        Param("model.adapter", "text", "",
              "An IP-Adapter for this model, which takes a guide as a prompt (guide.likeness): a .safetensors file.",
              lands="start"),
        Param("model.adapter_encoder", "text", "",
              "The IP-Adapter's image encoder, a folder; empty: image_encoder beside the file, or one folder up.",
              lands="start"),
        Param("model.decode", "choice", ModelSpec.decode,
              "Pictures are decoded whole, or in tiles, which takes less memory; auto: tiles where memory is short.",
              choices=("auto", "whole", "tiles"), lands="start"),
        Param("model.encoders", "choice", ModelSpec.encoders,
              "Text encoders stay in memory (keep), or are read from disk for new words; auto: where memory is short.",
              choices=("auto", "keep", "reread"), lands="start"),
        Param("model.quantize", "choice", ModelSpec.quantize,
              "Weights of 8 bits for large models on small cards; needs torchao, and fp8 a card that has it.",
              choices=("none", "int8", "fp8"), lands="start"),
        Param("model.graphs", "switch", ModelSpec.graphs, "On NVIDIA cards, networks run as CUDA graphs.",
              lands="start"),
        Param("model.compile", "switch", ModelSpec.compile,
              "Networks are compiled behind the picture, which takes minutes and makes them faster.", lands="start"),
    ]  # fmt: skip


PART = Part(_params)

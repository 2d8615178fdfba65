"""What the process has read that warm dreamers are forked from: torch, and all that a tiny model is loaded with.

Usage: preloaded by tests.warm's fork server; of no use elsewhere. One thread as far as torch is concerned: nothing is
computed here, or what OpenMP starts would be missing in every child.
"""

import gc
import importlib

from engine.dreamer import worker

worker.prepare(0)  # the environment that torch reads once; each child lowers itself
gc.disable()
importlib.import_module("engine.dreamer.load")
for module, names in {
    "diffusers": ("StableDiffusionPipeline", "UNet2DConditionModel", "AutoencoderKL", "DDIMScheduler"),
    "transformers": ("CLIPTextModel", "CLIPTokenizer"),
}.items():
    for name in names:
        getattr(importlib.import_module(module), name)  # both libraries read a class when it is asked for
gc.collect()
gc.freeze()  # children leave these pages alone, and share them
gc.enable()

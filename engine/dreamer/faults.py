"""Which faults of the dreamer another start may cure, and how they are said in one line.

Usage: `with to_model_error("house: its unet"): load()`; `is_out_of_memory(error)`. Dreamer process; torch-free.
"""

import contextlib
from collections.abc import Iterator

from engine.dreamer.models import ModelError

# What the libraries raise over files and settings that do not suit them. Other kinds are more likely our own
# mistakes, and keep their traceback.
_OVER_FILES_AND_SETTINGS = (OSError, ValueError, KeyError, ImportError, RuntimeError)
_ABOUT_THE_FILE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
_DRIVERS = ("CUDA", "cuDNN", "CUDNN", "CUBLAS", "CUSOLVER", "NVML", "HIP error", "MPS backend")  # as torch spells them
_FULL = ("out of memory", "can't allocate memory", "alloc_failed", "unable to find an engine")  # cuDNN's for it, too
_LONGEST = 200  # characters of what a library says; diffusers ends with paragraphs of advice


class NotYet(Exception):
    """What this machine has but that does not answer yet, such as a graphics card whose driver is still loading."""


@contextlib.contextmanager
def to_model_error(what: str) -> Iterator[None]:
    """Faults of a model's files or of its settings become ModelError, which no second start would cure."""
    try:
        yield
    except Exception as error:
        if not _is_about_the_model(error) or may_pass(error):
            raise
        raise ModelError(f"{what} cannot be loaded ({line(error)}); get a whole copy, or name another model") from error


def _is_about_the_model(error: Exception) -> bool:
    # safetensors' own error is a plain Exception; by name, as this module also serves where it is not loaded
    return isinstance(error, _OVER_FILES_AND_SETTINGS) or type(error).__name__ == "SafetensorError"


def may_pass(error: BaseException) -> bool:
    """Whether another start may go better: memory, a graphics driver, a disk out of reach, the stage gone.

    diffusers hides every fault of reading weights behind an OSError of its own, so what led to it counts too.
    """
    return any(is_out_of_memory(e) or _is_drivers(e) or _is_systems(e) for e in _chain(error))


def is_out_of_memory(error: BaseException) -> bool:
    """Torch says it in several ways."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in said for words in _FULL)


def led_to_by_memory(error: BaseException) -> bool:
    """Whether running out of memory is at the bottom of a fault."""
    return any(is_out_of_memory(e) for e in _chain(error))


def line(error: BaseException) -> str:
    """The kind of an error and the first line of what it says, or the beginning of that."""
    text = str(error).strip().splitlines()
    first = text[0] if text else ""
    first = first if len(first) <= _LONGEST else first[:_LONGEST] + " ..."
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _is_drivers(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and any(name in str(error) for name in _DRIVERS)


def _is_systems(error: BaseException) -> bool:
    """Too many open files, a network disk that is away, a broken pipe: an OSError that the system raised with a
    number, as against the libraries' own, and not for a file that is missing or may not be read."""
    return isinstance(error, OSError) and error.errno is not None and not isinstance(error, _ABOUT_THE_FILE)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that led to it."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__

"""Measure an exported house model: `python scripts/eval_house_model.py --model engine/house_model --work W`.

Prints the figures of its model card and writes them to `--json`. Paints the unseen pictures it needs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.house_model import data, evaluate
from scripts.house_model.training import pick_device


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--model", type=Path, default=Path("engine/house_model"))
    p.add_argument("--work", type=Path, required=True, help="folder for painted pictures and sheets")
    p.add_argument("--json", type=Path, help="write the figures here too")
    p.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    p.add_argument("--only-speed", action="store_true", help="only milliseconds a picture")
    o = p.parse_args(argv)
    device = pick_device(o.device)
    if o.only_speed:
        figures = evaluate.speed(evaluate.Model.open(o.model, device))
    else:
        data.render(o.work, 3072, device=device)  # what the classifier learns from
        figures = evaluate.everything(o.model, o.work, device)
    print(json.dumps(figures, indent=1))
    if o.json:
        o.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

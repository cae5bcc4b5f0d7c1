"""Writes the inference workloads as ONNX files for ONNX Runtime: export_onnx.py FOLDER [W3i W4 W5i W1_256 ...]."""
import sys
from pathlib import Path

import torch

import models

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)


class Product(torch.nn.Module):
    def forward(self, a, b):
        return a @ b


for name in sys.argv[2:]:
    target = folder / f"{name}.onnx"
    if target.exists():
        continue
    if name.startswith("W1_"):
        n = int(name[3:])
        model, given, inputs = Product(), (torch.zeros(n, n), torch.zeros(n, n)), ["a", "b"]
    else:
        model, data = models.build(name)
        x = torch.from_numpy(data["x"]) if "x" in data else torch.from_numpy(data["tok"]).long()
        given, inputs = (x,), ["x"]
    scratch = target.with_suffix(".part")
    # The exporter that needs no further package; it folds batch norm into the convolutions.
    torch.onnx.export(model.eval(), given, str(scratch), input_names=inputs, output_names=["y"], dynamo=False, opset_version=17)
    scratch.rename(target)

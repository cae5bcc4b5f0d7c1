"""First output of LeNet with PyTorch in eager mode."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
import torch

import models

torch.set_num_threads(1)
model, data = models.build("W3i")
with torch.inference_mode():
    print(float(model.eval()(torch.from_numpy(data["x"]))[0, 0]))

#!/usr/bin/env python3
"""Makes the files beside itself: harmless ones as today's writers write them (torch, numpy, pickle), which no inspection may refuse.
Needs torch and numpy. Names that begin with ok_ must be accepted, with flag_ flagged."""
import datetime
import pickle
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
torch.manual_seed(1)
model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4))
torch.save(model.state_dict(), HERE / "ok_state_dict.pt")
torch.save(model.state_dict(), HERE / "ok_legacy.pt", _use_new_zipfile_serialization=False)
torch.save({"a": torch.ones(4, dtype=torch.bfloat16), "b": torch.nn.Parameter(torch.zeros(2, 2)), "c": torch.zeros(3, dtype=torch.float8_e4m3fn)}, HERE / "ok_dtypes.bin")
optimizer = torch.optim.AdamW(model.parameters())
model(torch.ones(1, 4)).sum().backward()
optimizer.step()
torch.save(optimizer.state_dict(), HERE / "ok_optimizer.pt")
torch.save(model, HERE / "flag_module.pt")
torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)).save(str(HERE / "flag_script.pt"))
with open(HERE / "ok_plain.pkl", "wb") as f:
    pickle.dump({"a": [1, 2.5, "x", None, (1, 2), {3}, 10**30, b"y"], "d": datetime.date(2020, 1, 1)}, f)
with open(HERE / "flag_array.pkl", "wb") as f:
    pickle.dump(np.arange(5), f)
np.savez(HERE / "ok_arrays.npz", a=np.ones(3), b=np.zeros((2, 2), order="F"))
np.savez_compressed(HERE / "ok_packed.npz", a=np.ones(300))
np.save(HERE / "ok_record.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i8", (2,))]))

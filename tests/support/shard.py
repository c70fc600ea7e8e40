"""One of two processes that shard a model, train it a step and save it. A test's own process.

RANK=0 WORLD_SIZE=2 MASTER_ADDR=... MASTER_PORT=... python shard.py MODEL OUT [compiled]
"""

from __future__ import annotations

import sys
from pathlib import Path

import models
import torch
from torch.distributed.fsdp import fully_shard

from harness.stage.metering.sizes import parameters
from harness.stage.processes import Group

base, out = map(Path, sys.argv[1:3])
compiled = sys.argv[3:] == ["compiled"]
torch.distributed.init_process_group("gloo")
group = Group(torch.distributed.get_rank(), torch.distributed.get_world_size())
run = models.make_run(out, base, None, group=group, compile=compiled)
model = run.student()
whole = parameters(model)
for layer in model.model.layers:
    fully_shard(layer)
fully_shard(model)
assert parameters(model) == whole  # the meter counts the model and not a shard of it
ids = torch.arange(8).reshape(2, 4) + 5
model(input_ids=ids, labels=ids).loss.backward()
torch.optim.SGD(model.parameters(), lr=0.1).step()
run.save(model)
assert ("compiled" in run.notes) is compiled
torch.distributed.destroy_process_group()

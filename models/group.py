"""Where the workers run: a Ray Train worker group, or one process beside this one."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

from models.request import Outcome, Plan
from sluice.errors import DeclarationError, Outage

NUMERICS = {
    "TF_NUM_INTRAOP_THREADS": "1",  # the order of additions inside an operation must not depend on the machine's load
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_ENABLE_ONEDNN_OPTS": "0",  # its kernels differ between kinds of CPU, TensorFlow's own do not
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}
"""The environment in which a worker imports TensorFlow; part of what makes weights repeat to the bit."""


def on_ray(plan: Plan, folder: Path, *, address: str, workers: int, cpus_per_worker: float) -> Outcome:
    """Run the plan in one Ray Train group of so many workers; Outage when the group fails, with its last error.

    `address` is a running head's; a process that is connected to a Ray already uses that one.
    """
    if not 1 <= workers <= len(plan.shards):
        raise DeclarationError(
            f"{workers} workers", where="TrainingRequest.workers", allowed=f"1 to {len(plan.shards)}"
        )
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError

    connected = ray.is_initialized()
    if not connected:
        ray.init(address=address, log_to_driver=False, logging_level="WARNING")
    trainer = DataParallelTrainer(
        _ray_worker,
        train_loop_config={"plan": plan},
        scaling_config=ScalingConfig(num_workers=workers, resources_per_worker={"CPU": cpus_per_worker}),
        run_config=RunConfig(
            name="training", storage_path=str(folder.absolute()), worker_runtime_env={"env_vars": NUMERICS}
        ),
    )
    try:
        outcome: Outcome = trainer.fit().return_value
    except TrainingFailedError as error:
        raise Outage(f"the worker group failed: {error}", where="Ray Train", next_step="train again") from error
    finally:
        if not connected:
            ray.shutdown()
    return outcome


def _ray_worker(config: dict[str, Any]) -> Outcome | None:
    """One Ray Train worker; rank 0 answers for all, since all know the same."""
    import ray.util
    from ray.train import get_context
    from ray.train.collective import broadcast_from_rank_zero

    from models.exchange import Hub, Spoke
    from models.worker import work

    context, plan = get_context(), config["plan"]
    rank, world = context.get_world_rank(), context.get_world_size()
    if rank:
        with Spoke(broadcast_from_rank_zero(None), rank, world) as spoke:
            work(spoke, plan)
        return None
    one_node = context.get_local_world_size() == world
    with Hub(world, "127.0.0.1" if one_node else ray.util.get_node_ip_address()) as hub:
        broadcast_from_rank_zero(hub.meeting)
        hub.accept()
        return work(hub, plan)


def alone(plan: Plan, folder: Path) -> Outcome:
    """Run the plan in one process of its own, since TensorFlow takes its numerics from the environment it starts in."""
    asked, answered = folder / "plan.pickle", folder / "outcome.pickle"
    asked.write_bytes(pickle.dumps(plan))
    command = [sys.executable, "-m", "models.group", str(asked), str(answered)]
    done = subprocess.run(command, env=os.environ | NUMERICS, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Outage(f"the training process failed: {done.stderr[-2000:]}", where="models.group")
    outcome: Outcome = pickle.loads(answered.read_bytes())  # noqa: S301  written by the child above
    return outcome


def main(asked: str, answered: str) -> None:
    """The child of `alone`: read the plan, work, write the outcome."""
    from models.exchange import Alone
    from models.worker import work

    plan = pickle.loads(Path(asked).read_bytes())  # noqa: S301  written by the parent
    Path(answered).write_bytes(pickle.dumps(work(Alone(), plan)))


if __name__ == "__main__":
    main(*sys.argv[1:])

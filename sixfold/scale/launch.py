"""Scripts that start verl: on one machine, where it begins its own Ray, and on several under Slurm.

Place: `verl.py` writes them into the folder of a run; they hold the overrides word for word, so that what was run can be read.
A run that was cut off goes on with the same script. Afterwards the last checkpoint is merged into a Hugging Face folder, which
`sixfold` then opens like any other. Nothing here is run by this program.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

MAIN = "verl.trainer.main_ppo"
_PORT = 6379
_LATEST = Path("checkpoints") / "latest_checkpointed_iteration.txt"
"""Where verl writes the number of its last checkpoint."""


def merge_command(folder: Path) -> str:
    """Shards of the last checkpoint of a run to one model in `<folder>/model`, as a line of shell."""
    last = f'{shlex.quote(str(folder / "checkpoints"))}/global_step_"$(cat {shlex.quote(str(folder / _LATEST))})"/actor'
    return f'"$PYTHON" -m verl.model_merger merge --backend fsdp --local_dir {last} --target_dir {_quoted(folder / "model")}'


def local_script(overrides: Sequence[str], folder: Path) -> str:
    """One machine. PYTHON names the interpreter of verl's environment."""
    return f"""#!/bin/bash
# One machine with verl 0.9.1 and sixfold in the environment of $PYTHON. Cut off, the same script goes on.
set -euo pipefail
PYTHON="${{PYTHON:-python3}}"
{_main(overrides)}
{merge_command(folder)}
"""


def slurm_script(overrides: Sequence[str], folder: Path, name: str, nodes: int, gpus_per_node: int, hours: int) -> str:
    """Several machines under Slurm: Ray on each of them, the driver on the first. All of them must see `folder`."""
    return f"""#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node={gpus_per_node}
#SBATCH --exclusive
#SBATCH --time={hours}:00:00
#SBATCH --output={folder}/slurm-%j.log
# sbatch slurm.sh; verl 0.9.1 and sixfold in the environment of $PYTHON on every node. Cut off, the same script goes on.
set -euo pipefail
export PYTHON="${{PYTHON:-python3}}"
RAY="$(dirname "$(command -v "$PYTHON")")/ray"
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head="${{nodes[0]}}"
address="$(srun --nodes=1 --ntasks=1 -w "$head" hostname --ip-address | awk '{{print $1}}')"
export RAY_ADDRESS="$address:{_PORT}"
srun --overlap --nodes=1 --ntasks=1 -w "$head" \\
  "$RAY" start --head --node-ip-address="$address" --port={_PORT} --num-gpus={gpus_per_node} --block &
sleep 20
for node in "${{nodes[@]:1}}"; do
  srun --overlap --nodes=1 --ntasks=1 -w "$node" "$RAY" start --address="$RAY_ADDRESS" --num-gpus={gpus_per_node} --block &
done
sleep 20
cat > {_quoted(folder / "driver.sh")} <<'DRIVER'
set -euo pipefail
{_main(overrides)}
{merge_command(folder)}
DRIVER
srun --overlap --nodes=1 --ntasks=1 -w "$head" bash {_quoted(folder / "driver.sh")}
"""


def _main(overrides: Sequence[str]) -> str:
    return f'"$PYTHON" -m {MAIN} \\\n' + " \\\n".join(f"  {shlex.quote(item)}" for item in overrides)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))

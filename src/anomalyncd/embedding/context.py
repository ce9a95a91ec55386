"""What the stages of a run share: encoder, config, seed, folder and measurement."""

from dataclasses import dataclass, field
from pathlib import Path

from anomalyncd.config import Config
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.runtime.engine import Engine, ThisProcess
from anomalyncd.runtime.measurement import Stages


@dataclass(frozen=True, eq=False)
class RunContext:
    """The encoder, the config and the folder of one run."""

    encoder: RegionEncoder
    """On its device and in its precision."""
    config: Config
    """Every stage, resolved for this run; see `Config.resolved`."""
    seed: int
    """Seed of everything random."""
    folder: Path | None
    """Where maps, and tokens that are too large for memory, are written; None keeps everything in
    memory and caches nothing, as for a single image on a line."""
    stages: Stages
    """Measures the time and the memory of each stage."""
    resumable: bool = False
    """Whether the folder outlives the run, so that a later run can go on from it."""
    engine: Engine = field(default_factory=ThisProcess)
    """Makes the maps and reads the regions."""
    devices: int = 1
    """Devices, and processes, that a training uses; everything else uses one."""

    def within(self, *names: str) -> Path | None:
        """Returns a folder within that of the run; None where nothing is written."""
        return None if self.folder is None else self.folder.joinpath(*names)

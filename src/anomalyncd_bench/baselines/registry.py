"""All baselines by name."""

from collections.abc import Mapping

from anomalyncd_bench.baselines.anomaly_clustering import AnomalyClustering, UniFormaly
from anomalyncd_bench.baselines.clustering import GCD, KMeansOnCls
from anomalyncd_bench.baselines.gatcluster import GATCluster
from anomalyncd_bench.baselines.iic import IIC
from anomalyncd_bench.baselines.inputs import Baseline
from anomalyncd_bench.baselines.scan import SCAN
from anomalyncd_bench.baselines.simgcd import AMEND, SimGCD
from anomalyncd_bench.baselines.uno import UNO

BASELINES: Mapping[str, Baseline] = {
    "kmeans": KMeansOnCls(),
    "iic": IIC(),
    "gatcluster": GATCluster(),
    "scan": SCAN(),
    "uno": UNO(),
    "gcd": GCD(),
    "simgcd": SimGCD(),
    "amend": AMEND(),
    "ac": AnomalyClustering("others"),
    "ac_normals": AnomalyClustering("normals"),
    "ac_maps": AnomalyClustering("maps"),
    "uniformaly": UniFormaly(),
}
"""In the order of the papers' table."""

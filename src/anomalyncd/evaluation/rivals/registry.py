"""All rivals by name."""

from collections.abc import Mapping

from anomalyncd.evaluation.rivals.amend import AMEND
from anomalyncd.evaluation.rivals.anomaly_clustering import AnomalyClustering
from anomalyncd.evaluation.rivals.clustering import GCD, KMeansOnCls
from anomalyncd.evaluation.rivals.gatcluster import GATCluster
from anomalyncd.evaluation.rivals.iic import IIC
from anomalyncd.evaluation.rivals.inputs import Rival
from anomalyncd.evaluation.rivals.scan import SCAN
from anomalyncd.evaluation.rivals.simgcd import SimGCD
from anomalyncd.evaluation.rivals.uniformaly import UniFormaly
from anomalyncd.evaluation.rivals.uno import UNO

RIVALS: Mapping[str, Rival] = {
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

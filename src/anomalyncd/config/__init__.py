"""Every number a person may set, one frozen dataclass a stage."""

from anomalyncd.config.detection import DetectorConfig as DetectorConfig
from anomalyncd.config.detection import ForegroundConfig as ForegroundConfig
from anomalyncd.config.discovery import AggregationConfig as AggregationConfig
from anomalyncd.config.discovery import ClassNumberConfig as ClassNumberConfig
from anomalyncd.config.discovery import ReliabilityConfig as ReliabilityConfig
from anomalyncd.config.discovery import TrainingConfig as TrainingConfig
from anomalyncd.config.embedding import CropConfig as CropConfig
from anomalyncd.config.embedding import EncoderConfig as EncoderConfig
from anomalyncd.config.presets import PRESETS as PRESETS
from anomalyncd.config.presets import PROTO_PRESETS as PROTO_PRESETS
from anomalyncd.config.presets import Config as Config
from anomalyncd.config.presets import config_from_dict as config_from_dict
from anomalyncd.config.presets import resolve_config as resolve_config
from anomalyncd.config.regions import MebinConfig as MebinConfig
from anomalyncd.config.regions import RegionConfig as RegionConfig

"""Every number that a user can set: one frozen dataclass for each stage, and presets."""

from anomalyncd.config.config import Config as Config
from anomalyncd.config.config import config_from_dict as config_from_dict
from anomalyncd.config.config import json_schema as json_schema
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
from anomalyncd.config.presets import resolve_config as resolve_config
from anomalyncd.config.regions import MebinConfig as MebinConfig
from anomalyncd.config.regions import RegionConfig as RegionConfig

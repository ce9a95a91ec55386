"""Every number a person may set, one frozen dataclass a stage."""

from anomalyncd.settings.detection import DetectorSettings as DetectorSettings
from anomalyncd.settings.detection import ObjectSettings as ObjectSettings
from anomalyncd.settings.encoding import EncoderSettings as EncoderSettings
from anomalyncd.settings.encoding import ViewSettings as ViewSettings
from anomalyncd.settings.learning import ClassNumberSettings as ClassNumberSettings
from anomalyncd.settings.learning import MergingSettings as MergingSettings
from anomalyncd.settings.learning import RejectionSettings as RejectionSettings
from anomalyncd.settings.learning import TrainingSettings as TrainingSettings
from anomalyncd.settings.presets import PRESETS as PRESETS
from anomalyncd.settings.presets import PROTO_PRESETS as PROTO_PRESETS
from anomalyncd.settings.presets import Settings as Settings
from anomalyncd.settings.presets import resolve_settings as resolve_settings
from anomalyncd.settings.regions import MebinSettings as MebinSettings
from anomalyncd.settings.regions import RegionSettings as RegionSettings

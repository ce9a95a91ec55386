"""Options that several commands share, each declared once, and how a command takes them."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args, get_type_hints

import typer

from anomalyncd.backbone.catalogue import check_backbone
from anomalyncd.errors import InputError
from anomalyncd.inputs.sources import InputSources

if TYPE_CHECKING:
    from anomalyncd.config import Config
    from anomalyncd.estimator import AnomalyNCD

DEVICES = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")
"""The names of lightning-fabric, listed here because importing it takes seconds."""

# Nothing slow is imported at the top of any module of the command line, so that help comes at once
# and a wrong path is refused at once. Slow modules are imported within the commands.


def existing(parameter: typer.CallbackParam, path: Path | None) -> Path | None:
    """Returns a path that was given; the callback of all paths that have to exist.

    Places such as "s3://bucket" are text; whoever reads them finds out whether they exist.

    Raises:
        InputError: There is no file or folder at this path.
    """
    if isinstance(path, Path) and not path.expanduser().exists():
        raise InputError(f"'{path}', given as `{parameter.name}`, does not exist; check the path")
    return path


def _path_or_place(text: str) -> Path | str:
    """A path, which would lose a slash of "s3://bucket", or such a place as it was given."""
    return text if "://" in text else Path(text)


def _known_backbone(name: str | None) -> str | None:
    """Returns a backbone that was named; the callback of the option."""
    if name is not None:
        check_backbone(name)
    return name


def known_device(name: str | None) -> str | None:
    """Returns a device that was named; the callback of the option.

    Raises:
        InputError: There is no device of this name.
    """
    if name is not None and name not in DEVICES:
        raise InputError(f"device {name!r} cannot be used; use one of {', '.join(DEVICES)}")
    return name


def _holding(file: str) -> Callable[[typer.CallbackParam, Path], Path]:
    """The callback of a folder that has to hold a file."""

    def check(parameter: typer.CallbackParam, folder: Path) -> Path:
        existing(parameter, folder)
        if not (folder.expanduser() / file).is_file():
            raise InputError(f"'{folder}' holds no {file}; give the folder of a finished run")
        return folder

    return check


RunFolder: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="Folder of a finished run.", callback=_holding("run.json")),
]
MovedImages: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--images",
        help="Where the images are now, if they were moved: the same kind of IMAGES as for "
        "discover.",
        show_default="where they were",
        callback=existing,
    ),
]
TableFolder: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="Folder of a finished run or of a prediction.",
        callback=_holding("images.csv"),
    ),
]
WeightsFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="File of the weights of the backbone, in safetensors format.",
        show_default="downloaded",
        callback=existing,
    ),
]
Device: TypeAlias = Annotated[
    str,
    typer.Option(
        help=f"Device to compute on: {', '.join(DEVICES)}.",
        callback=known_device,
    ),
]
EngineName: TypeAlias = Annotated[
    Literal["process", "ray"],
    typer.Option(
        "--engine",
        help="What works on each image: this process, or the workers of a cluster of Ray.",
    ),
]
ClusterAddress: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="Address of a cluster of Ray, such as auto or ray://HOST:10001.",
        show_default="workers on this machine",
    ),
]
SyntheticProduct: TypeAlias = Annotated[
    Literal["plates", "bolts", "fabric", "labels", "tubs"],
    typer.Option(help="Product on the synthetic images."),
]


@dataclass(frozen=True)
class EstimatorOptions:
    """The options of an estimator."""

    method: Annotated[
        Literal["anomalyncd", "proto"],
        typer.Option(help="Estimator: AnomalyNCD, or our reconstruction of ProtoAnomalyNCD."),
    ] = "anomalyncd"
    preset: Annotated[str, typer.Option(help="Preset of the configuration: default or paper.")] = (
        "default"
    )
    detail: Annotated[
        int | None,
        typer.Option(
            help="Side in pixels to which the built-in detector scales images; larger values such "
            "as 672 show smaller defects and take more time.",
            show_default="336 to 672, by their size",
        ),
    ] = None
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Name in timm of a vision transformer trained with DINO or DINOv2.",
            show_default="DINOv2 ViT-S/14",
            callback=_known_backbone,
        ),
    ] = None
    weights: WeightsFile = None
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of all randomness.")] = 0
    device: Device = "auto"

    def __post_init__(self) -> None:
        # A wrong preset or detail is refused at once.
        self.config()

    def config(self, maps_from: Any = None) -> "str | Config":
        """Returns the preset, with the resolution of the built-in detector where it is given.

        Args:
            maps_from: What takes the place of the maps of the built-in detector.

        Returns:
            The name of the preset where it is used unchanged.

        Raises:
            InputError: The preset or the detail cannot be used, or the detail changes nothing.
        """
        if self.preset == "default" and self.detail is None:
            return self.preset
        from anomalyncd.config import PRESETS, PROTO_PRESETS, resolve_config

        config = resolve_config(self.preset, {"proto": PROTO_PRESETS}.get(self.method, PRESETS))
        if self.detail is None:
            return self.preset
        if maps_from is not None:
            raise InputError(
                f"`detail` is a setting of the built-in detector, which '{maps_from}' replaces; "
                "leave it out"
            )
        return replace(config, detector=replace(config.detector, resolution=self.detail))

    def estimator(self, n_classes: int | None, sources: InputSources) -> "AnomalyNCD":
        """Returns the estimator that these options describe.

        Args:
            n_classes: Number of classes; None estimates it.
            sources: What it will be fitted to.

        Raises:
            InputError: An option cannot be used.
        """
        from anomalyncd.estimator import ESTIMATORS

        named: dict[str, Any] = {"backbone": self.backbone} if self.backbone else {}
        return ESTIMATORS[self.method](
            "auto" if n_classes is None else n_classes,
            weights=self.weights,
            preset=self.config(sources.maps or sources.masks or sources.boxes),
            random_state=self.seed,
            device=self.device,
            **named,
        )


class Only:
    """In the annotation of a group of options: the names of those that a command takes."""

    def __init__(self, *names: str) -> None:
        self.names = names


READING = ("white_level", "black_level", "skip_damaged")
"""The inputs that say how image files are read."""


def _input_options() -> dict[str, Any]:
    """The inputs as arguments and options of the command line, by name."""
    options: dict[str, Any] = {}
    for name, annotation in InputSources.__annotations__.items():
        (description,) = annotation.__metadata__
        if name == "images":
            argument = typer.Argument(
                metavar="IMAGES", help=description, parser=_path_or_place, callback=existing
            )
            options[name] = Annotated[Path, argument]
        elif annotation.__origin__ is bool:
            flag = f"--{name.replace('_', '-')}"
            options[name] = Annotated[bool, typer.Option(flag, help=description)]
        elif annotation.__origin__ == int | None:
            options[name] = Annotated[int | None, typer.Option(help=description)]
        else:
            option = typer.Option(help=description, callback=existing)
            options[name] = Annotated[Path | None, option]
    return options


_GROUPS: Mapping[type, dict[str, Any]] = {
    InputSources: _input_options(),
    EstimatorOptions: get_type_hints(EstimatorOptions, include_extras=True),
}


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Turns each group of options among the parameters of a command into its single options.

    Args:
        command: Takes `InputSources`, `EstimatorOptions`, or some fields of them, named by `Only`.

    Returns:
        The command as typer reads it, with one parameter for each option.
    """
    signature = inspect.signature(command)
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    for parameter in signature.parameters.values():
        group, names = _group_of(hints[parameter.name])
        if group is None:
            parameters.append(
                parameter.replace(
                    annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY
                )
            )
        else:
            groups[parameter.name] = group, names
            parameters += [_parameter(group, name) for name in names]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        for argument, (group, names) in groups.items():
            values[argument] = group(**{name: values.pop(name) for name in names})
            if isinstance(values[argument], InputSources):
                values[argument].refuse_combination()
        command(**values)

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {}
    return run


def _group_of(hint: Any) -> tuple[type | None, list[str]]:
    """The group of options that a parameter is annotated with, and the names it takes of it."""
    if hint in _GROUPS:
        return hint, list(_GROUPS[hint])
    group, *extras = get_args(hint) or (None,)
    only = next((extra for extra in extras if isinstance(extra, Only)), None)
    return (None, []) if only is None else (group, list(only.names))


def _parameter(group: type, name: str) -> inspect.Parameter:
    default = next(field.default for field in fields(group) if field.name == name)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if name == "images" else default,
        annotation=_GROUPS[group][name],
    )

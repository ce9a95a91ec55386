"""The commands beside a production line: a server of verdicts, and a folder that is watched."""

import importlib
import os
import signal
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from anomalyncd.cli.console import say
from anomalyncd.cli.options import WeightsFile, existing, known_device
from anomalyncd.errors import InputError

if TYPE_CHECKING:
    from anomalyncd.line.predictor import Predictor
    from anomalyncd.runner.runner import Runner

_EXTRA = frozenset(
    {"fastapi", "starlette", "uvicorn", "python_multipart", "prometheus_client", "watchdog"}
)
Model: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="Folder of a finished run, of its model, or what export wrote.",
        callback=existing,
    ),
]
Device: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Device to compute on, see discover.",
        show_default="as for the discovery",
        callback=known_device,
    ),
]
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option(help="Processor cores to compute on.", show_default="all", min=1),
]

Backend: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Engine for what export wrote: onnx, openvino or openvino-bf16.",
        show_default="as it was exported",
    ),
]


def serve(
    model: Model,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the token that every request has to state.",
            show_default="the variable ANOMALYNCD_TOKEN",
            callback=existing,
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder below which requests may name images by their paths.",
            show_default="none",
            callback=existing,
        ),
    ] = None,
    queue: Annotated[int, typer.Option(help="Images that may wait.", min=1)] = 64,
    most_bytes: Annotated[int, typer.Option(help="Bytes of a request.", min=1)] = 64_000_000,
    most_pixels: Annotated[int, typer.Option(help="Pixels of an image.", min=1)] = 100_000_000,
    seconds: Annotated[float, typer.Option(help="Time until an answer.", min=0.1)] = 60.0,
    weights: WeightsFile = None,
    device: Device = None,
    threads: Threads = None,
    backend: Backend = None,
) -> None:
    """Answer requests over HTTP with verdicts of a MODEL, until ctrl-c.

    SIGHUP, or a request to /v1/model:reload, swaps in a new model of the same folder.
    """
    serving = _needed("anomalyncd.line.serving")
    from anomalyncd.line.limits import Limits

    place = serving.Place(
        host=host,
        port=port,
        token=serving.read_token(token_file),
        root=root,
        most_waiting=queue,
        limits=Limits(most_bytes, most_pixels, seconds=seconds),
    )

    def load() -> "Predictor | Runner":
        return _predictor(model, weights, device, threads, backend)

    serving.serve_model(model, load, place, lambda address: say(f"serving at {address}"))


def watch(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder to watch.", callback=existing)
    ],
    model: Model,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("watched"),
    once: Annotated[
        bool, typer.Option("--once", help="End when all images that are there are finished.")
    ] = False,
    gate: Annotated[
        bool,
        typer.Option(
            "--gate",
            help="With --once, exit with 1 if an image is not good, and with 2 if one has no "
            "verdict.",
        ),
    ] = False,
    poll: Annotated[
        bool, typer.Option("--poll", help="Look again and again, as network shares need it.")
    ] = False,
    every: Annotated[
        float, typer.Option(help="Seconds between two looks, with --poll.", min=0.05)
    ] = 1.0,
    steady: Annotated[
        float, typer.Option(help="Seconds without a change until a file is complete.", min=0.0)
    ] = 1.0,
    webhook: Annotated[
        str | None,
        typer.Option(help="Address that each result is posted to.", show_default="none"),
    ] = None,
    to_folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder for each image, a picture of its regions, and its verdict.",
            show_default="none",
        ),
    ] = None,
    mqtt: Annotated[
        str | None,
        typer.Option(
            help="Broker and topic that each result is published at, mqtt://host/topic.",
            show_default="none",
        ),
    ] = None,
    mqtt_content: Annotated[
        Literal["verdict", "image", "picture"],
        typer.Option(
            help="With --mqtt, publish the verdict alone, or also the image or a picture of its "
            "regions."
        ),
    ] = "verdict",
    weights: WeightsFile = None,
    device: Device = None,
    threads: Threads = None,
    backend: Backend = None,
) -> None:
    """Predict each image that is put into a FOLDER with a MODEL, exactly once.

    Results are in results.sqlite and results.csv of --out; images that are unseen or unsure are
    copied to review/ there. A watch that was interrupted goes on where it ended.
    """
    if gate and not once:
        raise InputError("`gate` needs the end of the watch; give `once` as well")
    if not (poll or once):
        _needed("watchdog")
    from anomalyncd.line.mqtt import Broker, MqttSink
    from anomalyncd.line.watch import Watch, WatchSettings

    broker = None
    if mqtt is not None:
        broker = Broker.parse(mqtt, os.environ.get("ANOMALYNCD_MQTT_PASSWORD"), mqtt_content)
        MqttSink(folder, broker)  # Refuses a missing package before the model is loaded.
    predictor = _predictor(model, weights, device, threads, backend)
    settings = WatchSettings(
        steady=steady,
        poll=poll,
        every=every,
        webhook=webhook,
        webhook_token=os.environ.get("ANOMALYNCD_WEBHOOK_TOKEN"),
        mqtt=broker,
        folder=to_folder,
    )
    watched = Watch(folder, out, predictor, settings, lambda finished: say(str(finished)))
    ends = (signal.SIGTERM, signal.SIGINT)
    previous = [signal.signal(number, lambda *_: watched.stop()) for number in ends]
    try:
        if not once:
            say(f"watching {folder}; results in {out}")
        summary = watched.run(once)
    finally:
        for number, handler in zip(ends, previous, strict=True):
            signal.signal(number, handler)
    say(str(summary))
    if gate or summary.interrupted:
        raise typer.Exit(summary.exit_code)


def _predictor(
    model: Path,
    weights: Path | None,
    device: str | None,
    threads: int | None,
    backend: str | None,
) -> "Predictor | Runner":
    """Loads a model, or a runner of what export wrote.

    Raises:
        InputError: An option is meant for the other kind of folder, or the folder is unusable.
    """
    from anomalyncd.runner.folder import is_exported

    if is_exported(model):
        from anomalyncd.runner.runner import Runner

        for name, value in (("weights", weights), ("device", device)):
            if value is not None:
                raise InputError(f"`{name}` is of no use to an exported model; leave it out")
        return Runner(model, backend=backend, threads=threads)
    if backend is not None:
        raise InputError(
            f"`backend` needs an exported model, and '{model}' is none; export it, or leave it out"
        )
    from anomalyncd.line.predictor import Predictor

    return Predictor(model, weights=weights, device=device, threads=threads)


def _needed(module: str) -> ModuleType:
    """Imports a module that needs the extra.

    Raises:
        InputError: A package of the extra is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in _EXTRA:
            raise
        raise InputError(
            f"this needs {error.name}, which is not installed; pip install 'anomalyncd[serve]'"
        ) from error

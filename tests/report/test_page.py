"""What all pages share: colours that can be told apart, and the names of arguments and options."""

import re
from dataclasses import fields

import pytest
import typer

from anomalyncd.cli.errors import name_options
from anomalyncd.cli.main import app
from anomalyncd.inputs.sources import InputSources
from anomalyncd.report.page import style_sheet, with_options


def contrast(first: str, second: str) -> float:
    """The ratio of WCAG 2 of two colours, #rrggbb."""

    def luminance(colour: str) -> float:
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_have_the_contrast_of_aa(scheme: int) -> None:
    assert contrast("#ffffff", "#767676") == pytest.approx(4.54, abs=0.01)
    block = re.findall(r":root \{(.*?)\}", style_sheet(), re.DOTALL)[scheme]
    colours = dict(re.findall(r"--(\w+): (#\w{6})", block))
    for ground in (colours["page"], colours["card"]):
        for text in ("text", "soft", "accent"):
            assert contrast(colours[text], ground) >= 4.5
        for shape in ["heat", *(f"k{index}" for index in range(9))]:
            assert contrast(colours[shape], ground) >= 3


def test_motion_is_reduced_on_request() -> None:
    motion = re.findall(r"scroll-behavior|transition|animation", style_sheet())
    guarded = re.findall(r"no-preference\) \{ html \{ scroll-behavior", style_sheet())
    assert len(motion) == len(guarded) == 1


def test_arguments_are_named_for_python_and_the_command_line() -> None:
    text = with_options("Give `normal_maps` for <a> & 'b'.")
    named = "<code>normal_maps</code> (<code>--normal-maps</code>)"
    assert text == f"Give {named} for &lt;a&gt; &amp; &#39;b&#39;."


def test_options_on_pages_exist() -> None:
    context = typer.Context(typer.main.get_command(app))
    for argument in [*(field.name for field in fields(InputSources)), "n_classes"]:
        option = name_options(f"`{argument}`", context)
        assert f"(<code>{option}</code>)" in with_options(f"`{argument}`")

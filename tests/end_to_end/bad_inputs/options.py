"""Options, names and weights that there are not."""

from support.bad_inputs import DISCOVER, Case, cut, weights

CASES = [
    Case(
        "a number of classes that is none",
        "discover photos --classes many --out out",
        ("'--classes'", "anomalyncd discover --help"),
    ),
    Case(
        "one class",
        "discover photos --classes 1 --out out",
        ("'--classes'", "--help"),
    ),
    Case(
        "classes and defects at once",
        f"{DISCOVER} --defects 2",
        ("--classes and --defects", "give only one"),
    ),
    Case(
        "an option that there is not",
        f"{DISCOVER} --zzzzzz red",
        ("--zzzzzz", "--help"),
    ),
    Case(
        "a command that there is not",
        "zzzzzz photos",
        ("zzzzzz", "--help"),
    ),
    Case(
        "an argument is missing",
        "predict run",
        ("IMAGES", "predict --help"),
    ),
    Case(
        "a preset that there is not",
        f"{DISCOVER} --preset best",
        ("'best'", "default, paper"),
    ),
    Case(
        "a backbone that there is not",
        f"{DISCOVER} --backbone resnet50",
        ("'resnet50'", "use one of vit_"),
    ),
    Case(
        "a device that there is not",
        f"{DISCOVER} --device abacus",
        ("'abacus'", "use one of auto, cpu"),
    ),
    Case(
        "several devices, and a preset that trains nothing",
        f"{DISCOVER} --devices 2",
        ("devices=2 needs training", "leave --devices at 1"),
    ),
    Case(
        "a seed that is too large",
        f"{DISCOVER} --seed 99999999999999999999",
        ("'--seed'", "--help"),
    ),
    Case(
        "weights that do not exist",
        f"{DISCOVER} --weights nowhere.st",
        ("nowhere.st", "check the path"),
    ),
    Case(
        "damaged weights",
        f"{DISCOVER} --weights weights.safetensors",
        ("weights.safetensors", "give an intact file"),
        cut("weights.safetensors", 100),
    ),
    Case(
        "weights that lack a tensor",
        f"{DISCOVER} --weights odd.st",
        ("odd.st", "norm.bias", "give the file of this model"),
        weights(
            "odd.st",
            lambda state: {name: one for name, one in state.items() if name != "norm.bias"},
        ),
    ),
]

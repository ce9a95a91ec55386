"""Models of finished runs that are damaged, and inputs that do not fit them."""

from support.bad_inputs import PREDICT, Case, cut, edited, gone, text, weights

CASES = [
    Case(
        "a run that does not exist",
        "predict nowhere photos --out out",
        ("nowhere", "check the path"),
    ),
    Case(
        "images in place of a run",
        "predict photos photos --out out",
        ("'photos' holds no run.json", "finished run"),
    ),
    Case(
        "maps for a model that makes its own",
        f"{PREDICT} --maps maps",
        ("makes its own maps", "do not fit"),
    ),
    Case(
        "no masks for a model made from masks",
        "predict run_of_masks photos --out out",
        ("made from masks", "give the --masks"),
    ),
    Case(
        "no maps for a model made from maps",
        "predict run_of_maps photos --out out",
        ("made from given maps", "give the --maps"),
    ),
    Case(
        "other weights than those of the run",
        f"{PREDICT} --weights other.st",
        ("not those", "weights"),
        weights("other.st", lambda state: {name: one + 1 for name, one in state.items()}),
    ),
    Case(
        "a prediction into the run itself",
        "predict run photos --out run",
        ("'run'", "new or empty folder"),
    ),
    Case(
        "a prediction into a file",
        PREDICT,
        ("'out' is a file", "name a new or empty folder"),
        text("out", "x"),
    ),
    Case(
        "a model without its tensors",
        PREDICT,
        ("model.safetensors", "copy it again"),
        gone("run/model/model.safetensors"),
    ),
    Case(
        "a model without its description",
        PREDICT,
        ("model.json", "copy it again"),
        gone("run/model/model.json"),
    ),
    Case(
        "truncated tensors",
        PREDICT,
        ("model.safetensors", "copy the model again"),
        cut("run/model/model.safetensors", 900),
    ),
    Case(
        "a description that is no JSON",
        PREDICT,
        ("model.json", "make it again"),
        text("run/model/model.json", "{"),
    ),
    Case(
        "a model of another version",
        PREDICT,
        ("format 9", "fit the model again"),
        edited("run/model/model.json", lambda one: one.update(format=9)),
    ),
    Case(
        "a description without settings",
        PREDICT,
        ("model.json", "fit the model again"),
        edited("run/model/model.json", lambda one: one.pop("config")),
    ),
    Case(
        "a description with a parameter that there is not",
        PREDICT,
        ("model", "fit the model again"),
        edited("run/model/model.json", lambda one: one["parameters"].update(colour=1)),
    ),
    Case(
        "a description with text for a number",
        PREDICT,
        ("model.json", "fit the model again"),
        edited(
            "run/model/model.json", lambda one: one["components"]["score_range"].update(low="x")
        ),
    ),
]

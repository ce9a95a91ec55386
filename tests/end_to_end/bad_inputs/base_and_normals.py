"""Base sets and normal images that lack something."""

from support.bad_inputs import DISCOVER, GREY, KINDS, Case, both, copied, cut, gone, image, text

CASES = [
    Case(
        "a base set without masks",
        f"{DISCOVER} --base photos",
        ("'photos'", "ground_truth"),
    ),
    Case(
        "a base image outside a class",
        f"{DISCOVER} --base base",
        ("loose", "named after its class"),
        image("base/test/loose.png", GREY),
    ),
    Case(
        "a base image without a mask",
        f"{DISCOVER} --base base",
        ("spot/000", "draw one or remove the image"),
        gone("base/ground_truth/spot/000_mask.png"),
    ),
    Case(
        "a base set with black masks alone",
        f"{DISCOVER} --base base",
        ("good, line, spot", "every class needs masks"),
        both(
            *(
                image(f"base/ground_truth/{k}/00{i}_mask.png", GREY)
                for k in KINDS[1:]
                for i in range(2)
            )
        ),
    ),
    Case(
        "a base manifest without labels",
        f"{DISCOVER} --base base.csv",
        ("'label'", "add the class"),
        text("base.csv", "image,mask\nphotos/line/000.png,masks/line/000_mask.png\n"),
    ),
    Case(
        "a damaged normal image",
        f"{DISCOVER} --normals ok",
        ("000.png", "save it again"),
        both(copied("photos/good/000.png", "ok/000.png"), cut("ok/000.png")),
    ),
]

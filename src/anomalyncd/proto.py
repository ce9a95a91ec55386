"""What `ProtoAnomalyNCD` does otherwise than `AnomalyNCD`: its presets (our reconstruction)."""

from dataclasses import replace

from anomalyncd.settings import PRESETS

_DEFAULT, _PAPER = PRESETS["default"], PRESETS["paper"]

PROTO_PRESETS = {
    "default": replace(
        _DEFAULT,
        training=replace(_DEFAULT.training, head_choice="consensus", n_heads=10),
    ),
    "paper": replace(
        _PAPER,
        encoder=replace(_PAPER.encoder, guidance="soft"),
        training=replace(
            _PAPER.training,
            start="kmeans",
            teacher_temperature=(0.05, 0.05),
            hard_share=1.0,
            separation_weight=0.1,
            entropy_weight=2.0,
        ),
    ),
}
"""`paper`: ProtoAnomalyNCD as far as it is known, our own definition for the rest; `default`: that
of `AnomalyNCD` with a consensus of ten starts."""

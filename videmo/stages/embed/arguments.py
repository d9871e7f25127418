"""What a card or an option may hand to the maker of a network: plain numbers and words, by list.

A network is built by calling its maker with what a card says. timm's maker also takes arguments
that load files, fetch URLs or name classes (`checkpoint_path`, `pretrained`, `norm_layer`), and
every network has others; so what is not listed here is refused, whoever wrote it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from videmo.errors import InputError
from videmo.stages.embed.dlib_resnet import NAME as DLIB_RESNET
from videmo.stages.embed.mobilefacenet import NAME as MOBILEFACENET

COUNT, SHARE, FLAG, COUNTS = "a whole number", "a number", "true or false", "whole numbers"
MAX_NUMBER = 1 << 16  # a width, a depth or a side that no network of this kind reaches
MAX_LENGTH = 64  # stages of a network

Arguments = Mapping[str, Any]

_OURS: dict[str, Mapping[str, Any]] = {
    MOBILEFACENET: {"blocks": COUNTS, "scale": COUNT, "dim": COUNT},
    DLIB_RESNET: {},
}
_TIMM: dict[str, str | tuple[str, ...]] = {
    **dict.fromkeys((
        "in_chans", "base_width", "cardinality", "stem_width", "stem_size", "embed_dim", "depth",
        "num_heads", "patch_size", "img_size", "output_stride", "num_features", "initial_chs",
    ), COUNT),
    **dict.fromkeys(("channels", "layers", "depths", "dims", "embed_dims"), COUNTS),
    **dict.fromkeys((
        "bn_eps", "bn_momentum", "drop_rate", "drop_path_rate", "drop_block_rate", "width_mult",
        "depth_mult", "channel_multiplier", "mlp_ratio",
    ), SHARE),
    **dict.fromkeys((
        "avg_down", "fix_stem", "replace_stem_pool", "zero_init_last", "bn_tf",
    ), FLAG),
    "pad_type": ("", "same", "valid"),
    "stem_type": ("", "deep", "deep_tiered", "s2d"),
    "global_pool": ("avg", "max", "avgmax", "catavgmax", "fast"),
}  # fmt: skip
_MODEL = re.compile(r"[A-Za-z0-9_]{1,80}(\.[A-Za-z0-9_]{1,80})?")


def checked_arguments(architecture: str, arguments: Arguments) -> dict[str, Any]:
    """Return the arguments of a network's maker; raises InputError for what it may not be given."""
    known: Mapping[str, Any] = _OURS.get(architecture, _TIMM)
    for name, value in arguments.items():
        if name not in known:
            raise InputError(
                f"{architecture} may not be given the argument {str(name)[:40]!r}; "
                f"there is {', '.join(sorted(known))}"
            )
        if not _fits(value, known[name]):
            wanted = known[name]
            expected = (
                wanted if isinstance(wanted, str) else f"one of {', '.join(map(repr, wanted))}"
            )
            raise InputError(f"{architecture}: {name} is {value!r:.60}, expected {expected}")
    return dict(arguments)


def is_model(name: str) -> bool:
    """Return whether a text can be a network's name in timm: no place on a hub or a disk."""
    return _MODEL.fullmatch(name) is not None


def _fits(value: Any, wanted: str | tuple[str, ...]) -> bool:
    if wanted is FLAG:
        return type(value) is bool
    if wanted is COUNT:
        return type(value) is int and 0 <= value <= MAX_NUMBER
    if wanted is SHARE:
        return type(value) in (int, float) and math.isfinite(value) and abs(value) <= MAX_NUMBER
    if wanted is COUNTS:
        short = isinstance(value, (list, tuple)) and 0 < len(value) <= MAX_LENGTH
        return short and all(_fits(one, COUNT) for one in value)
    return value in wanted

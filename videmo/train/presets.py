"""Named options for training backbones: the paper's, and this project's own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from videmo.train.augment import Augmentation

NO_AUGMENTATION = Augmentation(
    shift=0, scale=0, stretch=0, rotation=0, flip=0, contrast=0, brightness=0, gamma=0, grey=0,
    coarse=0, blur=0, jpeg=0, noise=0, erase=0,
)  # fmt: skip
_IMAGENET: dict[str, Any] = {
    "colour": True, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225),
}  # fmt: skip
_PUBLISHED: dict[str, Any] = {  # Savchenko's notebooks: SAM around Adam, rates that do not fall
    **_IMAGENET, "architecture": "tf_efficientnet_b0.ns_jft_in1k", "input_size": 224, "rho": 0.05,
    "schedule": "constant", "rate": 1e-4, "decay": 0.0, "ema": 0.0,
}  # fmt: skip
_AFFECTNET: dict[str, Any] = {
    **_PUBLISHED, "epochs": 9, "head_epochs": 3, "batch": 32, "balance": True, "smoothing": 0.1,
    "augmentation": NO_AUGMENTATION,
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    # train_faces_torch: VGGFace2, one epoch of the head, ten of all
    "identity": {
        **_PUBLISHED, "epochs": 11, "head_epochs": 1, "batch": 48,
        "augmentation": Augmentation(**{
            **asdict(NO_AUGMENTATION), "area": (0.08, 1.0), "stretch": 0.15, "flip": 0.5,
        }),
    },
    # age_gender_train: Adam, batches of 80, three epochs of the head, thirty of all at 1e-4
    "attributes": {
        **_PUBLISHED, "architecture": "mobilenetv1_100.ra4_e3600_r224_in1k", "rho": 0.0,
        "epochs": 33, "head_epochs": 3, "batch": 80, "dropout": 0.5,
        "augmentation": Augmentation(**{
            **asdict(NO_AUGMENTATION), "shift": 0.1, "scale": 0.2, "rotation": 10.0, "flip": 0.5,
        }),
    },
    "affectnet8": _AFFECTNET,
    "affectnet7": _AFFECTNET,
    # this project's own: small grey faces, made worse as a video makes them
    "video": {
        "arguments": {"channels": [48, 96, 192, 352], "stem_type": "deep", "stem_width": 16},
        "epochs": 30, "batch": 176, "rate": 1.2e-3, "warmup": 0.05, "dropout": 0.2, "mixup": 0.2,
        "adjust": 0.3, "scale": 24.0, "margin": 0.2, "ema": 0.999,
        "weights": {"emotion": 1.0, "age": 0.3, "gender": 0.8, "ethnicity": 1.0, "identity": 0.4},
        "augmentation": Augmentation(blur=0.1, jpeg=0.2, noise=0.1, erase=0.2),
    },
    # what ships: a light network from ImageNet weights, in colour; give it --start and teachers
    "lite": {
        "architecture": "tf_efficientnet_lite0", "input_size": 96, "colour": True, "mean": (0.5,),
        "std": (0.5,), "epochs": 25, "batch": 512, "rate": 1e-3, "warmup": 0.08, "dropout": 0.2,
        "mixup": 0.2, "ema": 0.999, "rarity": 0.35, "adjusts": {"age": 0.5}, "years": 0.02,
        "scale": 24.0, "margin": 0.2, "teaching": 0.5, "filling": 0.4,
        "weights": {"emotion": 1.0, "age": 0.3, "gender": 0.7, "ethnicity": 0.9, "identity": 0.4,
                    "likeness": 2.0},
        "augmentation": Augmentation(
            shift=0.09, scale=0.15, stretch=0.06, rotation=14.0, tint=0.12, saturation=0.4,
            coarse=0.25, coarse_side=(16, 64), blur=0.12, blur_sigma=(0.005, 0.022), jpeg=0.25,
            jpeg_quality=(12, 90), noise=0.12, erase=0.15,
        ),
    },
}  # fmt: skip

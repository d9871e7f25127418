"""A recipe with its models, and what it says of a clip."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from videmo import store
from videmo.data import F32, F64, Array, Descriptor, Features, Prediction, VideoInfo
from videmo.errors import (
    FewFacesError,
    InputError,
    ModelError,
    NoFaceError,
    RecipeMismatch,
)
from videmo.files.extras import versions
from videmo.pipeline.engine import Engine
from videmo.pipeline.findings import Findings, OutputCollector
from videmo.pipeline.models import LoadedModels
from videmo.pipeline.river import Link, StageTimer, river, run_ahead
from videmo.recipe import Recipe
from videmo.stages.budget import Level
from videmo.stages.decode import (
    Decoder,
    Sampling,
    Thinned,
    can_read_again,
    expected_frames,
    open_video,
)
from videmo.stages.detect import Detection, Detector
from videmo.stages.embed import Backbone
from videmo.stages.follow import Looks
from videmo.stages.heads import WindowHead, predict
from videmo.stages.heads.attributes import AFFECT, Affect
from videmo.stages.heads.windows import WindowMean
from videmo.stages.pool import FEATURES, pool, reweigh
from videmo.stages.quality import Seen

Source = str | os.PathLike[str]  # a path, or frames in memory: `videmo.stages.decode.arrays.Frames`

LEFT_OUT = "left_out"  # of a record: faces of too little quality to count
DETECTED = "frames_detected"  # of a record: frames that were looked at as a whole
TOLD = 1 << 14  # rows of which a head tells at once; the answers do not depend on it
SEARCHED = ("stride", "frames_share")  # of a record: how far the search for a sure answer went
DECODE_THREADS = 2  # threads at most that decode: the stages behind need the others


@dataclass(frozen=True)
class Answer:
    """All that one run over one clip found out."""

    info: VideoInfo
    descriptor: Descriptor  # empty where no face was seen
    prediction: Prediction | None  # None without a face, or without a head
    warnings: tuple[str, ...]
    affect: Affect | None = None  # None without a face, or where the network does not tell it
    looks: Looks = field(default_factory=Looks)
    detection: Detection | None = None  # how faces were looked for
    seen: Seen = field(default_factory=Seen)  # how well the faces that count can be seen
    stride: int = 1  # each so many-th of the frames that the recipe samples was looked at
    share: float = 1.0  # ... which is this share of them


FeatureHook = Callable[[Iterator[Features]], Iterator[Features]]
OpenHook = Callable[[VideoInfo, Sampling], None]  # hears of a clip that is opened


def _unchanged(river: Iterator[Features]) -> Iterator[Features]:
    return river


class Pipeline:
    """A recipe with the models it names, ready to read clips; use `load` to make one.

    head: a head; or a backbone, whose own answer is the mean of what it says of each face
    outputs: names of what the backbone is to say of each face beside its features ("age"), which
    `features` then yields, raw (`heads.attributes.per_face` makes sense of them). Nothing is
    inferred that is not asked for: what is not named here, and is not the head's own answer, is
    not computed.

    Any number of threads may use one at once; each clip is read in the thread that asks for it. A
    fork does not take the threads of loaded models along, so that the child must load its own
    (VidemoError says so, where it would hang): fork before the first clip, spawn, or pickle the
    pipeline, which goes without its models and loads them where it arrives.

    Raises ModelNotFound, CorruptModel, RecipeMismatch; ModelError for an output that the
    backbone does not have; InputError for several faces of a frame and a head that reads one.
    """

    def __init__(
        self,
        recipe: Recipe,
        head: store.Model | None = None,
        engine: Engine | None = None,
        *,
        outputs: Collection[str] = (),
    ) -> None:
        self.recipe, self.engine = recipe, engine or Engine()
        self.head_model = head.as_head() if head else None
        self._spec = self.head_model.head_spec() if self.head_model else None
        self.backbone_model = store.load(recipe.backbone)
        if not self.backbone_model.is_meant(recipe.backbone_sha256):
            raise RecipeMismatch(
                [f"backbone {recipe.backbone} {recipe.backbone_sha256[:12]} -> "
                 f"{self.backbone_model.sha256[:12]}"]
            )  # fmt: skip
        wanted = (*outputs, *self._pooled())
        self.outputs = _outputs(self.backbone_model, wanted)  # name -> labels in order
        self._models = LoadedModels(
            recipe.detection, self.backbone_model, self.head_model, self.engine, self.outputs
        )
        if self._spec and self._spec.level == "window" and recipe.detection.faces == "all":
            raise InputError(
                "the head reads one face a frame through time; give faces=largest or faces=best"
            )
        if recipe.budget.searches and (self._spec is None or self._spec.level == "window"):
            raise InputError("budget=fast is for a head that answers for a clip as a whole")

    def features(
        self, path: Source, *, start: float | None = None, end: float | None = None
    ) -> Iterator[Features]:
        """Yield the features of every face of `path`, batch by batch.

        start, end: s of presentation time; the part of the clip that is read
        Raises VideoError where the clip cannot be read.
        """
        self.check_every_frame()
        with closing(self._open(path)) as video:
            yield from self._river(video, self._sampling(start, end), Looks())

    def answer(
        self,
        path: Source,
        *,
        start: float | None = None,
        end: float | None = None,
        through: FeatureHook = _unchanged,
        on_open: OpenHook | None = None,
    ) -> Answer:
        """Return descriptor, prediction, facts and warnings of one clip, also without a face.

        through: passes the features on to the pooling and may look at them, keep or count them;
        with budget=fast once for each level of the search
        on_open: hears what the clip says of itself, and what of it is looked at
        Raises VideoError where the clip cannot be read, FewFacesError where it shows a face, but
        in fewer frames than the head needs.
        """
        with closing(self._open(path)) as video:
            sampling = self._sampling(start, end)
            if on_open:
                on_open(video.info, sampling)
            return self._search(video, path, sampling, through)

    def spent(self, path: Source) -> dict[str, float]:
        """Return the s that each stage takes on a clip, all in one thread; raises VideoError."""
        clock = StageTimer()
        with closing(self._open(path)) as video:
            self._search(video, path, self._sampling(None, None), link=clock)
        return clock.spent

    def describe(
        self, path: Source, *, start: float | None = None, end: float | None = None
    ) -> Descriptor:
        """Return the clip's one vector; raises VideoError, or NoFaceError without a face."""
        descriptor = self.answer(path, start=start, end=end).descriptor
        if not descriptor.faces:
            raise self._no_face(path, descriptor)
        return descriptor

    def predict(
        self, path: Source, *, start: float | None = None, end: float | None = None
    ) -> Prediction:
        """Return the probability of each label; raises VideoError, NoFaceError, FewFacesError."""
        answer = self.answer(path, start=start, end=end)
        if answer.prediction is None:
            raise self._no_face(path, answer.descriptor)
        return answer.prediction

    def prepare(self) -> Pipeline:
        """Load and compile the models now, and return self.

        So that what is wrong with them is said before the first clip: InputError for a detector,
        engine or device that is not there, ModelError, MissingDependency; VidemoError in a process
        that was forked off one that had loaded them.
        """
        self._models.prepare()
        return self

    @property
    def backbone(self) -> Backbone:
        """The network, compiled when it is first wanted."""
        return self._models.backbone

    @property
    def detector(self) -> Detector:
        """The face detector, made when it is first wanted."""
        return self._models.detector

    @property
    def labels(self) -> tuple[str, ...]:
        """The head's labels in its order, or none without a head."""
        return self._spec.labels if self._spec else ()

    @property
    def tells_faces(self) -> bool:
        """Whether `tell` has an answer: the head reads the mean of what is said of each face."""
        pooling = self.recipe.pooling
        plain = pooling.stats == ("mean",) and not pooling.within and not pooling.normalise
        return self._spec is not None and pooling.of != FEATURES and plain

    def tell(self, rows: Array) -> F32:
        """Return the probability (K, C) of each label for means (K, P), over any faces.

        rows: means of the probabilities of the output `recipe.pooling.of`, one face or more each;
        that of all faces gives what `predict` does. Raises InputError for another kind of head.
        """
        if not self.tells_faces:
            name = self.head_model.name if self.head_model else "none"
            raise InputError(
                f"head {name} reads whole clips and cannot tell a face or a moment; give "
                f"head=afew7 or head={self.recipe.backbone}, or ask videmo classify --window 1 "
                "for a record of each second"
            )
        answers = np.zeros((len(rows), len(self.labels)), np.float32)
        for first in range(0, len(rows), TOLD):  # an hour of four people has 360,000 faces
            block = slice(first, first + TOLD)
            answers[block] = self._told(rows[block].astype(np.float64))
        return answers

    def _told(self, rows: F64) -> F32:
        prior = self.recipe.pooling.prior
        return self._models.head((reweigh(rows, prior) if prior else rows).astype(np.float32))

    @property
    def extra_keys(self) -> tuple[str, ...]:
        """The keys that its records have beside those of every record."""
        told = Affect._fields if AFFECT in self._pooled() else ()
        counted = (DETECTED,) if self.recipe.following.follows else ()
        left_out = (LEFT_OUT,) if self.recipe.filtering.filters else ()
        return (*told, *counted, *left_out, *(SEARCHED if self.recipe.budget.searches else ()))

    @property
    def feature_names(self) -> list[str]:
        """The names of a descriptor's columns, in order: mean_0, mean_1, ... or mean_std_0 ..."""
        pooling, dim = self.recipe.pooling, self.backbone_model.backbone_spec().dim
        kinds = [
            f"{over}_{inner}" if inner else over
            for over in pooling.stats
            for inner in (pooling.within or ("",))
        ]
        columns = range(dim) if pooling.of == FEATURES else self.outputs[pooling.of]
        return [f"{kind}_{column}" for kind in kinds for column in columns]

    @cached_property
    def provenance(self) -> dict[str, str | None]:
        """What made the numbers of this pipeline, for every record."""
        from videmo import __version__

        return {
            "videmo": __version__,
            "head": self.head_model.name if self.head_model else None,
            "head_sha256": self.head_model.sha256 if self.head_model else None,
            "backbone": self.backbone_model.name,
            "backbone_sha256": self.backbone_model.sha256,
            "detector": self.recipe.detection.detector,
            "detector_sha256": self.detector.sha256,
            "decoder": None,
            "device": f"{self.backbone.device} {self.backbone.precision}".removesuffix(" fp32"),
            "recipe": self.recipe.fingerprint(),
            "libraries": self._libraries(),
        }

    def _libraries(self) -> str:
        """Return what decodes, resizes and computes, with versions, for they round differently."""
        computing = ("openvino", "torch") if self.engine.runs == "torch" else ("openvino",)
        decoding = ("decord",) if self.engine.decoder == "decord" else ()
        found = versions("cv2", *computing, "av", *decoding, "PIL")
        return ", ".join(f"{name} {version}" for name, version in found.items())

    def _windows(self) -> WindowMean | None:
        head = self._models.head if self._spec and self._spec.level == "window" else None
        return head.windows() if isinstance(head, WindowHead) else None

    def _pooled(self) -> tuple[str, ...]:
        """Return the outputs that the answer is made of, beside the features."""
        of = self.recipe.pooling.of
        if of == FEATURES:
            return ()
        own = self._spec is not None and self._spec.type == "given"
        tells = AFFECT in self.backbone_model.backbone_spec().outputs
        return (of, AFFECT) if own and tells else (of,)

    def _search(
        self,
        video: Decoder,
        path: Source,
        sampling: Sampling,
        through: FeatureHook = _unchanged,
        link: Link = run_ahead,
    ) -> Answer:
        """Return the first answer that is sure enough, or else that of every frame."""
        budget, found = self.recipe.budget, self._findings()
        again = budget.searches and can_read_again(path)
        for level in budget.levels(expected_frames(video.info, sampling)) if again else ():
            some = Thinned(**vars(sampling), stride=level.stride, but=level.before)
            answer = self._look(video, path, some, found, through, link, self._coarse(level))
            given = answer.prediction
            if given and budget.ends(level, given.scores, answer.descriptor.frames):
                share = answer.descriptor.seen / max(some.tally.frames, 1)
                return replace(answer, stride=level.stride, share=share)
            if not answer.descriptor.faces:
                break  # whoever is seldom there is sought in every frame
        return self._look(video, path, sampling, self._findings(), through, link, self.recipe)

    def _findings(self) -> Findings:
        return Findings(self._pooled(), self._windows())

    def _coarse(self, level: Level) -> Recipe:
        """Return the recipe for frames that lie apart: a face may be missed in as many as ever.

        Whole looks are due in time, so that of frames half a second apart each is one; in others
        a face that is not where it was is looked for in the whole.
        """
        recipe = self.recipe
        tracking = replace(recipe.tracking, gap=recipe.tracking.gap * level.stride)
        return replace(recipe, tracking=tracking)

    def _look(
        self,
        video: Decoder,
        path: Source,
        sampling: Sampling,
        found: Findings,
        through: FeatureHook,
        link: Link,
        recipe: Recipe,
    ) -> Answer:
        """Return the answer of what was found before together with these frames."""
        river = self._river(video, sampling, found.looks, link, recipe)
        with closing(river):
            features = found.collector(through(river))
            pooled = (pool(of, recipe.pooling, found.pooled) for of in (features,))
            descriptor = next(link("pool", pooled))
        prediction = self._predict(descriptor, found.collector, path) if descriptor.faces else None
        return Answer(
            video.info, descriptor, prediction, tuple(video.warnings),
            found.collector.affect(self.outputs), found.looks, recipe.detection,
            found.collector.quality.seen(),
        )  # fmt: skip

    def check_every_frame(self) -> None:
        """Raise InputError where the recipe looks at some frames; for who wants every one."""
        if self.recipe.budget.searches:
            raise InputError(
                "budget=fast looks at as few frames as its answer needs, and here every one is "
                "wanted; leave it out, or give budget=exact"
            )

    def _predict(
        self, descriptor: Descriptor, collector: OutputCollector, path: Source
    ) -> Prediction | None:
        if self._spec is None:
            return None
        if collector.windows is None:
            return predict(self._models.head, self._spec, descriptor)
        if collector.windows.rows < collector.windows.needed:
            raise FewFacesError(str(path), collector.windows.rows, collector.windows.needed)
        return Prediction(self._spec.labels, collector.windows.scores, descriptor)

    def _no_face(self, path: Source, descriptor: Descriptor) -> NoFaceError:
        sought = self.recipe.detection
        return NoFaceError(str(path), descriptor.seen, sought.min_face, sought.score)

    def _open(self, path: Source) -> Decoder:
        return open_video(
            path, self.engine.decoder,
            batch_bytes=self.engine.batch_mb << 20, threads=min(self.engine.cpus, DECODE_THREADS),
            pixels=round(self.engine.megapixels * 1e6),
            scratch=self.engine.scratch, frame_rate=self.recipe.sampling.frame_rate,
        )  # fmt: skip

    def _sampling(self, start: float | None, end: float | None) -> Sampling:
        return replace(self.recipe.sampling, start=start, end=end)

    def _river(
        self,
        video: Decoder,
        sampling: Sampling,
        looks: Looks,
        link: Link = run_ahead,
        recipe: Recipe | None = None,
    ) -> Generator[Features, None, None]:
        self.prepare()
        frames, recipe = video.read(sampling), recipe or self.recipe
        return river(frames, recipe, self.detector, self.backbone, looks, link)


def _outputs(model: store.Model, wanted: Collection[str]) -> dict[str, tuple[str, ...]]:
    there = model.backbone_spec().outputs
    if missing := [name for name in wanted if name not in there]:
        raise ModelError(
            f"backbone {model.name} has no output {', '.join(missing)}; it has "
            f"{', '.join(there) or 'features alone'}; choose another one"
        )
    return {name: labels for name, labels in there.items() if name in wanted}

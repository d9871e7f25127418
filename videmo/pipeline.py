"""The river from a video to an emotion: the one place that knows the order of the stages."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import (
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from videmo import store
from videmo.data import (
    F32,
    F64,
    Array,
    Crops,
    Descriptor,
    Faces,
    Features,
    FrameBatch,
    Prediction,
    Range,
    VideoInfo,
)
from videmo.errors import (
    FewFacesError,
    InputError,
    ModelError,
    NoFaceError,
    RecipeMismatch,
    VidemoError,
)
from videmo.files.extras import versions
from videmo.recipe import Recipe, stage_changes
from videmo.stages.budget import EXACT, Level, check_budget
from videmo.stages.crop import crop
from videmo.stages.decode import (
    Decoder,
    Sampling,
    Thinned,
    can_read_again,
    expected_frames,
    open_video,
    prefetch,
)
from videmo.stages.decode.formats import MAX_PIXELS
from videmo.stages.detect import Detection, Detector, detect, select
from videmo.stages.detect import detector as make_detector
from videmo.stages.embed import Backbone, embed, make_backbone
from videmo.stages.follow import Following, Looks, follow, whole_looks
from videmo.stages.heads import Head, WindowHead, predict
from videmo.stages.heads.attributes import AFFECT, Affect, affect, per_face
from videmo.stages.heads.prior import NATURAL
from videmo.stages.heads.windows import WindowMean
from videmo.stages.pool import FEATURES, Accumulator, Moments, pool, reweigh
from videmo.stages.quality import QualityTally, Seen, sift
from videmo.stages.track import track

Source = str | os.PathLike[str]  # a path, or frames in memory: `videmo.stages.decode.arrays.Frames`

LEFT_OUT = "left_out"  # of a record: faces of too little quality to count
DETECTED = "frames_detected"  # of a record: frames that were looked at as a whole
TOLD = 1 << 14  # rows of which a head tells at once; the answers do not depend on it
SEARCHED = ("stride", "frames_share")  # of a record: how far the search for a sure answer went
DECODE_THREADS = 2  # threads at most that decode: the stages behind need the others


@dataclass(frozen=True)
class Engine:
    """What may change the pace but not the numbers."""

    device: str = "auto"  # auto, cpu, cuda, cuda:N, mps
    engine: str = "auto"  # auto, openvino, torch
    precision: str = "auto"  # auto, fp32, bf16, fp16: of the backbone's arithmetic
    decoder: str = "auto"  # auto, decord, pyav
    threads: int = 0  # 0: as many as this process may use
    detector_weights: str | None = None  # where a copy of the detector's own weights lies
    megapixels: float = MAX_PIXELS / 1e6  # of a frame, that are read; larger ones are errors
    batch_mb: int = 16  # MiB of pixels in one batch of frames; about five batches live at once
    scratch: str | None = None  # where copies of clips at URLs lie; None: with temporary files

    def __post_init__(self) -> None:
        Range(0, open=True).check("megapixels", self.megapixels)


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


Link = Callable[[str, Iterator[Any]], Generator[Any, None, None]]  # of one stage to the next


def _run_ahead(stage: str, items: Iterator[Any]) -> Generator[Any, None, None]:
    """Return what a stage gives; decoding, and finding and cutting, go on in threads of their own.

    So three threads are at work: these two, and the one in which the network sees the crops.
    """
    return prefetch(items) if stage in ("decode", "crop") else (item for item in items)


class StageTimer:
    """Takes the time of each stage, one after the other in one thread."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}  # stage -> s, of all that come before it as well
        self._now = time.perf_counter

    def __call__(self, stage: str, items: Iterator[Any]) -> Generator[Any, None, None]:
        self._until.setdefault(stage, 0.0)  # a clip may be read more than once
        while True:
            begun = self._now()
            item = next(items, None)
            self._until[stage] += self._now() - begun
            if item is None:
                return
            yield item

    @property
    def spent(self) -> dict[str, float]:
        """The s that each stage took by itself."""
        until = sorted(self._until.items(), key=lambda item: item[1])  # the first stage first
        before = [0.0, *(s for _, s in until)]
        return {stage: s - b for (stage, s), b in zip(until, before, strict=False)}


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
        self._loading, self._process = threading.RLock(), 0  # the one that has loaded the models
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
        with self._loading:
            if self._process not in (0, os.getpid()):
                raise VidemoError(
                    f"process {self._process} loaded these models, and a fork does not take their "
                    "threads along; call videmo.load in this process, or start it by spawn"
                )
            if self._engine == "openvino":  # it reads two networks at once
                beside = threading.Thread(target=self._try_detector)
                beside.start()
                try:
                    _ = self.backbone
                finally:
                    beside.join()
            _ = self.detector, self.backbone
            if self.head_model is not None:
                _ = self._head
            self._process = os.getpid()
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Return all but what belongs to a process: loaded models and the lock on loading them."""
        own = ("_loading", "_process", "backbone", "detector", "_head")
        return {name: value for name, value in vars(self).items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _loading=threading.RLock(), _process=0)

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
        return self._head((reweigh(rows, prior) if prior else rows).astype(np.float32))

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
        computing = ("openvino", "torch") if self._engine == "torch" else ("openvino",)
        decoding = ("decord",) if self.engine.decoder == "decord" else ()
        found = versions("cv2", *computing, "av", *decoding, "PIL")
        return ", ".join(f"{name} {version}" for name, version in found.items())

    @cached_property
    def backbone(self) -> Backbone:
        """The network, compiled when it is first wanted."""
        model = self.backbone_model
        return make_backbone(
            model.backbone_spec(), model.folder,
            engine=self._engine, device=self.engine.device, threads=self._threads,
            outputs=tuple(self.outputs), precision=self.engine.precision,
        )  # fmt: skip

    @cached_property
    def detector(self) -> Detector:
        """The face detector, made when it is first wanted."""
        weights = self.engine.detector_weights
        options = self.recipe.detection
        return make_detector(
            replace(options, faces="all"),  # which of them count is chosen afterwards
            threads=self._threads,
            device="cpu" if self._engine == "openvino" else self.backbone.device,
            weights=Path(weights) if weights else None,
            engine=self.engine.engine,
        )

    def _try_detector(self) -> None:
        with suppress(Exception):  # who asks for it hears what is wrong
            _ = self.detector

    @property
    def _engine(self) -> str:
        """What runs the backbone."""
        if self.engine.engine != "auto":
            return self.engine.engine
        return "openvino" if self.engine.device in ("auto", "cpu") else "torch"

    @property
    def _threads(self) -> int:
        return self.engine.threads or cpus()

    @cached_property
    def _head(self) -> Head:
        assert self.head_model is not None
        return self.head_model.head()

    def _windows(self) -> WindowMean | None:
        head = self._head if self._spec and self._spec.level == "window" else None
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
        link: Link = _run_ahead,
    ) -> Answer:
        """Return the first answer that is sure enough, or else that of every frame."""
        budget, found = self.recipe.budget, _Findings(self)
        again = budget.searches and can_read_again(path)
        for level in budget.levels(expected_frames(video.info, sampling)) if again else ():
            some = Thinned(**vars(sampling), stride=level.stride, but=level.before)
            answer = self._look(video, path, some, found, through, link, self._coarse(level))
            given = answer.prediction
            if given and budget.ends(level, given.scores, answer.descriptor.frames):
                share = answer.descriptor.seen / max(some.tally.frames, 1)
                return replace(answer, stride=level.stride, share=share)
        return self._look(video, path, sampling, _Findings(self), through, link, self.recipe)

    def _coarse(self, level: Level) -> Recipe:
        """Return the recipe for frames that are too far apart to follow a face from one to the
        next: each is looked at as a whole, and a face may be missed as often as ever."""
        recipe = self.recipe
        tracking = replace(recipe.tracking, gap=recipe.tracking.gap * level.stride)
        return replace(recipe, following=whole_looks(recipe.following), tracking=tracking)

    def _look(
        self,
        video: Decoder,
        path: Source,
        sampling: Sampling,
        found: _Findings,
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
        self, descriptor: Descriptor, collector: _OutputCollector, path: Source
    ) -> Prediction | None:
        if self._spec is None:
            return None
        if collector.windows is None:
            return predict(self._head, self._spec, descriptor)
        if collector.windows.rows < collector.windows.needed:
            raise FewFacesError(str(path), collector.windows.rows, collector.windows.needed)
        return Prediction(self._spec.labels, collector.windows.scores, descriptor)

    def _no_face(self, path: Source, descriptor: Descriptor) -> NoFaceError:
        sought = self.recipe.detection
        return NoFaceError(str(path), descriptor.seen, sought.min_face, sought.score)

    def _open(self, path: Source) -> Decoder:
        return open_video(
            path, self.engine.decoder,
            batch_bytes=self.engine.batch_mb << 20, threads=min(self._threads, DECODE_THREADS),
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
        link: Link = _run_ahead,
        recipe: Recipe | None = None,
    ) -> Generator[Features, None, None]:
        self.prepare()
        recipe = recipe or self.recipe
        frames = link("decode", video.read(sampling))  # FrameBatch ...
        with closing(frames):
            faces = link("find", self._faces(frames, looks, recipe.following))  # ..., Faces ...
            tracked = link("track", track(faces, recipe.tracking))
            crops = link("crop", self._crops(tracked, looks))  # Crops ...
            with closing(crops):
                yield from link("embed", embed(crops, self.backbone))  # Features ...

    def _crops(self, tracked: Iterable[tuple[FrameBatch, Faces]], looks: Looks) -> Iterator[Crops]:
        crops = crop(tracked, self.recipe.cropping)
        filtering = self.recipe.filtering
        return sift(crops, filtering, looks.leave_out) if filtering.filters else crops

    def _faces(
        self, frames: Iterable[FrameBatch], looks: Looks, following: Following
    ) -> Iterator[tuple[FrameBatch, Faces]]:
        look = getattr(self.detector, "look", None) if following.follows else None
        if look:
            if self.recipe.detection.faces != "largest":  # a glance may miss smaller ones
                following = replace(following, glance=None)
            found = follow(frames, self.detector, look, following, looks)
        else:
            found = detect(frames, self.detector)
        for batch, faces in found:
            if not look:
                looks.whole += len(batch)
            looks.several += int((np.bincount(faces.row) > 1).sum())
            yield batch, select(faces, self.recipe.detection.faces)


class _Findings:
    """What the frames of a clip that were looked at so far have told."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.collector = _OutputCollector(pipeline._pooled(), pipeline._windows())
        self.looks, self.pooled = Looks(), Accumulator()


class _OutputCollector:
    """Hears what flows to the pooling, and tells the pooling what outputs mean."""

    def __init__(self, outputs: Collection[str], windows: WindowMean | None) -> None:
        self.outputs, self.windows = outputs, windows
        self._affect, self.quality = Moments(), QualityTally()

    def __call__(self, river: Iterator[Features]) -> Iterator[Features]:
        """Pass features on; outputs that are pooled become what may be averaged."""
        for features in river:
            if self.windows is not None:
                self.windows.add(features.values)
            self.quality.add(features.faces)
            rows = {name: per_face(name, features.outputs[name]) for name in self.outputs}
            if AFFECT in rows:
                self._affect.add(rows[AFFECT])
            yield replace(features, outputs={k: v.astype(np.float32) for k, v in rows.items()})

    def affect(self, outputs: Mapping[str, Sequence[str]]) -> Affect | None:
        """Return the mean over the faces, if there were any that told it."""
        return affect(self._affect.mean, outputs[AFFECT]) if self._affect.count else None


def _outputs(model: store.Model, wanted: Collection[str]) -> dict[str, tuple[str, ...]]:
    there = model.backbone_spec().outputs
    if missing := [name for name in wanted if name not in there]:
        raise ModelError(
            f"backbone {model.name} has no output {', '.join(missing)}; it has "
            f"{', '.join(there) or 'features alone'}; choose another one"
        )
    return {name: labels for name, labels in there.items() if name in wanted}


def cpus() -> int:
    """Return how many CPUs this process may use: its affinity and its cgroup's share.

    Not the machine's count: a container may have a part of it (cpu.max, Linux cgroup v2).
    """
    there = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        there = len(os.sched_getaffinity(0))
    return max(1, min(there, _cgroup_cpus("/sys/fs/cgroup/cpu.max", there)))


def _cgroup_cpus(path: str, otherwise: int) -> int:
    """Return the CPUs that a cgroup may use, from its quota and period in microseconds."""
    try:
        quota, period = Path(path).read_text().split()
        return int(quota) // int(period)
    except (OSError, ValueError):  # no such file, or "max"
        return otherwise


def load(
    head: str | Path = "afew7",
    *,
    engine: Engine | None = None,
    outputs: Collection[str] = (),
    prior: str | Path | None = None,
    budget: str = EXACT,
    **changes: Any,
) -> Pipeline:
    """Return a pipeline with a trained head and the recipe it was trained with.

    head: name of an installed head, or its folder; or those of a backbone, whose own answer is
    the mean over faces of the probabilities of its output "emotion"
    outputs: as in `Pipeline`
    prior: how common each label is held to be, where a network's own answers are read: natural
    (as in its training), balanced (all alike), or a JSON file of shares; None for the head's own
    budget: exact looks at every frame that the recipe samples; fast at some of them, and at more
    while the answer is not as sure as the head's card says that it must be
    changes: options of the recipe to replace, as in `load(fps=5, faces="all")`: those of
    `videmo.recipe.OPTIONS`, or all of a stage, `load(cropping={"margin": 0.2})`; the answer is then
    no longer what the head's card measured, and the record's recipe says so

    Raises ModelNotFound, CorruptModel, RecipeMismatch, ModelError.
    """
    model = store.load(head).as_head()
    recipe = model.recipe.with_changes(**stage_changes(**changes))
    if prior is not None:
        recipe = recipe.with_changes(pooling={"prior": _factors(recipe, prior)})
    check_budget(budget)
    if budget != EXACT:
        if recipe.sampling != replace(model.recipe.sampling, frame_rate=recipe.sampling.frame_rate):
            raise InputError(
                f"budget={budget} chooses among the frames that the head learned from; leave out "
                "fps=, every= and max_side="
            )
        recipe = replace(recipe, budget=model.budget())
    return Pipeline(recipe, model, engine, outputs=outputs)


def _factors(recipe: Recipe, prior: str | Path) -> tuple[float, ...]:
    """Return the factors of a prior for what the recipe pools; raises InputError, ModelError."""
    if recipe.pooling.of == FEATURES:
        raise InputError(
            f"prior={prior}: this head reads features, and learned its own shares; "
            f"give head={recipe.backbone}"
        )
    if str(prior) == NATURAL:
        return ()
    return store.load(recipe.backbone).shares(recipe.pooling.of).factors(prior)


def load_features(
    head: str | Path,
    *,
    engine: Engine | None = None,
    outputs: Collection[str] = (),
    **changes: Any,
) -> Pipeline:
    """Return a pipeline whose descriptors are statistics of features, with a head's other stages.

    A head that reads what a network says of faces has no descriptor to learn from: mean, std, min
    and max of the features take its place, and there is no answer. The rest is as in `load`.
    """
    model = store.load(head)
    if model.card["kind"] == "backbone" or model.recipe.pooling.of == FEATURES:
        return load(head, engine=engine, outputs=outputs, prior=None, **changes)
    recipe = model.recipe.for_features().with_changes(**stage_changes(**changes))
    return Pipeline(recipe, engine=engine, outputs=outputs)


def load_backbone(
    backbone: str | Path,
    *,
    engine: Engine | None = None,
    outputs: Collection[str] = (),
    **changes: Any,
) -> Pipeline:
    """Return a pipeline without a head: the features of a network, by its own recipe.

    backbone: name of an installed one, or its folder
    The rest is as in `load`: mean, std, min and max of the largest face's features, unless the
    card or `changes` say otherwise.
    """
    recipe = store.load(backbone).recipe.with_changes(**stage_changes(**changes))
    return Pipeline(recipe, engine=engine, outputs=outputs)

"""A record says where one answer is too little."""

from __future__ import annotations

import numpy as np
import pytest

from videmo.data import Descriptor, Prediction, VideoInfo
from videmo.pipeline import Answer
from videmo.stages.follow import Looks
from videmo.stages.quality import Seen
from videmo.write.doubts import doubts
from videmo.write.record import abstained

LABELS = ("Happy", "Neutral", "Sad")


def told(scores=(0.8, 0.15, 0.05), frames=9, seen=10, tracks=1, several=0) -> list[str]:
    descriptor = Descriptor(np.zeros(1, np.float32), frames, frames, seen)
    prediction = Prediction(LABELS, np.array(scores, np.float32), descriptor)
    info = VideoInfo("a.mp4", 2, 2, 10, 1.0, 10.0, "toy")
    looks, quality = Looks(several=several), Seen(tracks=tracks)
    return doubts(Answer(info, descriptor, prediction, (), None, looks, None, quality))


def test_a_clear_answer_of_one_face_has_no_doubt():
    assert told() == []


def test_two_labels_side_by_side_are_a_near_tie():
    (said,) = told((0.45, 0.1, 0.4))
    assert said == "Happy 0.45 and Sad 0.40 are a near tie (less than 0.1 apart)"
    assert told((0.55, 0.1, 0.35)) == []


def test_a_face_in_less_than_half_of_the_frames_is_said():
    assert told(frames=4) == ["a face in 4 of 10 frames only"]
    assert told(frames=5) == []


@pytest.mark.parametrize(
    ("facts", "said"), [({"tracks": 3}, "3 tracks"), ({"several": 2}, "2 frames show")]
)
def test_faces_that_may_be_of_several_persons_are_said(facts, said):
    (line,) = told(**facts)
    assert said in line and line.endswith("--per person tells apart")
    assert told(several=0, tracks=1) == []


def test_abstaining_leaves_the_label_out_and_the_scores_in():
    record = {"label": "Happy", "scores": {"Happy": 0.5, "Sad": 0.5}}
    assert abstained(record, 0.6) == {"label": None, "scores": record["scores"]}
    assert abstained(record, 0.5) is record and abstained(record, None) is record
    assert abstained({"label": None, "scores": None}, 0.9)["label"] is None

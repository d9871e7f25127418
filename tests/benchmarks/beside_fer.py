"""Emotions of the faces in a clip by fer 25.10.3, frame by frame: frames/s, and by CPU.

PYTHON tests/benchmarks/beside_fer.py CLIP [haar], of an environment with fer; see ratios.py.
"""

import json
import sys
import time

import cv2
import facenet_pytorch  # noqa: F401  (torch before TensorFlow, or the two crash)
from fer.fer import FER

FRAMES = 12


def main() -> None:
    reader, find = cv2.VideoCapture(sys.argv[1]), FER(mtcnn="haar" not in sys.argv)
    find.detect_emotions(reader.read()[1])  # what is done once
    begun, spent, seen = time.perf_counter(), time.process_time(), 0
    for _ in range(FRAMES):
        more, frame = reader.read()
        if not more:
            break
        find.detect_emotions(frame)
        seen += 1
    print(json.dumps([seen / (time.perf_counter() - begun), seen / (time.process_time() - spent)]))


if __name__ == "__main__":
    main()

"""facenet-pytorch's MTCNN and an EfficientNet-B0 of timm at 224 px, in torch: frames/s, and by CPU.

PYTHON tests/benchmarks/beside_facenet.py CLIP, of an environment with both; `ratios.py --facenet`.
MTCNN has its weights from the wheel. EfficientNet's are random: its time does not depend on them.
"""

import json
import sys
import time

import cv2
import timm
import torch
from facenet_pytorch import MTCNN
from PIL import Image

FRAMES, BATCH = 32, 16


def main() -> None:
    reader = cv2.VideoCapture(sys.argv[1])
    find = MTCNN(image_size=224, margin=0, select_largest=True)
    network = timm.create_model("efficientnet_b0", num_classes=8).eval()
    see(reader, find, network)  # what is done once
    begun, spent, seen = time.perf_counter(), time.process_time(), 0
    while seen < FRAMES and (n := see(reader, find, network)):
        seen += n
    print(json.dumps([seen / (time.perf_counter() - begun), seen / (time.process_time() - spent)]))


def see(reader: cv2.VideoCapture, find: MTCNN, network: torch.nn.Module) -> int:
    """Answer for the next batch of frames, and count them."""
    frames = [frame[..., ::-1] for more, frame in (reader.read() for _ in range(BATCH)) if more]
    faces = [f for f in find([Image.fromarray(frame) for frame in frames]) if f is not None]
    if faces:
        with torch.inference_mode():
            network(torch.stack(faces)).softmax(-1)
    return len(frames)


if __name__ == "__main__":
    main()

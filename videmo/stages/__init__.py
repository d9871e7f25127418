"""The stages of the river, strangers to each other: a clip goes in, probabilities come out.

Each takes nouns of videmo.data and gives them back; only videmo.pipeline knows their order. What
they share is registry (names of backends) and image (resizing and warping).
"""

"""The stages of the river, strangers to each other: a clip goes in, probabilities come out.

Each takes nouns of videmo.data and gives them back; only videmo.pipeline knows their order. What
they share is registry (names of backends) and image (resizing and warping). Where things are:

    options of a stage           a frozen dataclass beside it (Sampling, Detection, Cropping ...),
                                 put together in videmo.recipe; cli.options names them for a shell
    a decoder, detector, engine  a class, and a line in DECODERS, DETECTORS or BACKBONES
    a choice by detector         detect: what is fetched for one, store.zoo.catalogue
    a statistic                  a property of pool.Moments, and pool.STATS
    a kind of head               heads: a class and a line in HEADS
    a limit of what is read      decode.formats of pictures and frames, pipeline.Engine of a run
"""

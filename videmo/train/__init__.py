"""Learning: labelled faces go in and a backbone comes out, or labelled clips and a head.

Both come as model folders with a card that says what they learned from and how well they do, on
data that they have not seen.

    a data set of clips     a module of `datasets`, nothing else
    a data set of faces     face_tables.READERS
    the way of a backbone   face_tables, face_dataset, batches (augment), network, gradients
                            (losses), backbone (the loop), backbone_model; measure, verification
    the way of a head       clip_rows, head (classifiers fits it), head_model, predictions
    a kind of head          head.HEAD_KINDS and classifiers.FITS; `videmo.stages.heads` runs it
"""

"""Many clips: which ones, one record each whatever happens, on the cores of one machine or many.

In go paths, lists, manifests and a pipeline; out come records and features in the order of the
inputs, with a journal to go on from.

    which clips are meant        inputs (patterns, csv_text, times)
    what becomes a record        batch: what one clip may cost, and what ends the run
    one process that works       worker; several are processes, or a cluster
    when work is tried again     executor, whose policy both follow
    what is kept of a run        journal, and resume for a file that is whole
    runs in parts                shards
    what Python offers of it     library: videmo.classify and its like
"""

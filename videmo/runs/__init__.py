"""Many clips: which ones, one record each whatever happens, on the cores of one machine or many.

In go paths, lists, manifests and a pipeline; out come records and features in the order of the
inputs, with a journal to go on from.
"""

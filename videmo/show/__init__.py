"""Results for people: the figures of an evaluation go in; a picture or a table comes out.

Nothing is measured here, and nothing that a program reads is written here (that is videmo.write).
"""

"""Who is seen: features of faces in their tracks go in; one record a person, or a pair, comes out.

Nothing of it is inferred unless asked, and no face is compared with any but those of the run.
"""

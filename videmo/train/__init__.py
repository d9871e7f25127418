"""Learning: labelled faces go in and a backbone comes out, or labelled clips and a head.

Both come as model folders with a card that says what they learned from and how well they do, on
data that they have not seen. `datasets` reads published sets of clips, a file a set; the way of
a backbone is tables, pictures, augment, backbone, measure, folder, that of a head rows and head.
"""

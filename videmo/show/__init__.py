"""Results for people: the figures of an evaluation go in; a picture or a table comes out.

Nothing is measured here, and nothing that a program reads is written here (that is videmo.write).

    figures as tables   evaluation, comparison, tables; as pictures: confusion, figure, plot
    pages               clip_page of one clip, list_page of many; templates
    a video drawn on    annotate, with video (frames in and out), overlay and trails
    a model in words    card
"""

"""Who is seen: tracks of faces in, one record a person or a pair of clips out."""

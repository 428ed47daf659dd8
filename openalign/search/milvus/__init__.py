"""The index in Milvus: a collection with a row an image, which many machines can hold and answer from.

    row         the number of the image, counted up; the primary key
    digest      of the image file, in hexadecimal, by which the next run knows the image
    vector      float32 of unit length, compared by their inner product
    record      JSON: the names, texts and columns of the image in its sources
    width, height, bytes, date, latitude, longitude
    find_*      texts in the form in which conditions compare them
    fields      JSON: the columns of the user's table, likewise
    thumbnail   a small JPEG in base64, or ""

The state of the index (`Meta`: its model, sources, the mark) is a property of the collection. Milvus Lite, which needs
no server, keeps the same in a folder and is opened by one process at a time.
"""

"""The process that Spark forks its Python workers from: it loads the libraries once, instead of each worker again."""

from pyspark.daemon import manager

from tests import preloaded_server

LOADED = ("torch", "safetensors.torch", "openalign.curation.pipeline", "openalign.embedding.embed_partition")

if __name__ == "__main__":
    preloaded_server.load(LOADED)
    manager()

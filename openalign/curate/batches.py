"""The same function over many Arrow batches, in processes."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice

import pyarrow as pa
import torch


def map_batches(
    function: Callable[[pa.RecordBatch], pa.RecordBatch], batches: Iterable[pa.RecordBatch], workers: int
) -> Iterator[pa.RecordBatch]:
    """`function` of each batch, in order; two batches a worker are under way, however many there are.

    With more than one worker `function` must be picklable: a function of a module, or a partial of one.
    """
    if workers == 1:
        yield from map(function, batches)
        return
    # No fork: the parent runs threads (DuckDB, torch, the progress display) whose locks a forked child would inherit.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as pool:
        todo = iter(batches)
        running: deque[Future[pa.RecordBatch]] = deque()
        try:
            for batch in islice(todo, 2 * workers):
                running.append(pool.submit(function, batch))
            while running:
                yield running.popleft().result()
                for batch in islice(todo, 1):
                    running.append(pool.submit(function, batch))
        finally:
            pool.shutdown(cancel_futures=True)

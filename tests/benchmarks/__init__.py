"""What the library costs beside the clients it is built upon: `python -m tests.benchmarks`."""

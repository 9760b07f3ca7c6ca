"""One module per image format, each with `reencode(source, target, limits) -> Reencoded`. Runs in the child.

`source` and `target` are descriptors: the original, read from its start, and an empty file to write to. A module
raises `Refusal` for what it can name; whatever else its decoder raises is judged by `worker.sandbox.images`.
"""

"""What the use cases need from the outside: the object store, the scanner, the task queue."""

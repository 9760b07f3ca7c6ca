"""HTTP in, use cases called, HTTP out. No content of any file is parsed in this process."""

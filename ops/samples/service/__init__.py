"""A service that lets its users upload pictures, as an example of how to use Lazaretto; `README.md` runs it."""

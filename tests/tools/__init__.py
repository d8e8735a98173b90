"""What `sh tests/run` does. Standard library only: it runs before there is an environment."""

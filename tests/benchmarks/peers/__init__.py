"""Task queues on RabbitMQ, in an environment of their own: no module here but ``sides`` imports the library."""

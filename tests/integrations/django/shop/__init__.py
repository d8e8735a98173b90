"""A Django project for the tests: orders that are placed over HTTP, and booked by listeners."""

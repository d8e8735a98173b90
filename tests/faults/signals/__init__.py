"""Programs that get signals: a service, a web application under gunicorn, and one that forks."""

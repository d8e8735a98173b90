"""``manage.py events``."""

"""What the shop stores."""

from __future__ import annotations

from django.db import models


class Order(models.Model):
    """An order that was placed."""

    number = models.IntegerField(unique=True)


class Booking(models.Model):
    """What a listener made of an order: by which process and thread, on which connection of the database."""

    number = models.IntegerField()
    listener = models.CharField(max_length=40)
    pid = models.IntegerField()
    thread = models.CharField(max_length=80)

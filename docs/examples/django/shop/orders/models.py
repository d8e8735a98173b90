"""Orders, and the bank that can be closed."""

from django.db import models


class Order(models.Model):
    customer = models.CharField(max_length=40)
    amount = models.PositiveIntegerField()
    state = models.CharField(max_length=80, default="placed")
    process = models.PositiveIntegerField(null=True)

    @property
    def billed(self) -> bool:
        return self.state == "billed"


class Bank(models.Model):
    """There is one, and it is open unless somebody closes it."""

    is_open = models.BooleanField(default=True)

    @classmethod
    def get(cls) -> "Bank":
        return cls.objects.get_or_create(id=1)[0]

"""One page, and what its buttons do."""

from django.urls import path
from orders import views

urlpatterns = [
    path("", views.index, name="index"),
    path("place", views.place, name="place"),
    path("bank", views.bank, name="bank"),
    path("replay", views.replay, name="replay"),
]

"""Where orders are placed."""

from __future__ import annotations

from django.urls import path

from tests.integrations.django.shop.orders import views

urlpatterns = [path("orders/<int:number>", views.place), path("async/<int:number>", views.place_async)]

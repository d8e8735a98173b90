# shop/urls.py
from django.urls import path
from orders.views import place

urlpatterns = [path("orders/<str:customer>", place)]

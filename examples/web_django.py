"""The dashboard beside a Django project: what its wsgi.py says. ``gunicorn web_django:application``, then /hotqueue/.

The path is split off before Django sees the request: so its own middleware and login stay out of it.
"""

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

import hotqueue.web
from hotqueue import HotQueue

if not settings.configured:  # your project has a module of settings instead
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="change-me")
    django.setup()

queue = HotQueue("shop", dbfilename="shop.rdb")
urlpatterns = [path("", lambda request: HttpResponse("the shop"))]
site = get_wsgi_application()
dashboard = hotqueue.web.wsgi(queue, users={"ann": "change-me"})


def application(environ, start_response):
    """Answer: what is below /hotqueue is the dashboard's, all else the project's."""
    root, path_info = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
    if path_info != "/hotqueue" and not path_info.startswith("/hotqueue/"):
        return site(environ, start_response)
    below = {**environ, "SCRIPT_NAME": f"{root}/hotqueue", "PATH_INFO": path_info.removeprefix("/hotqueue")}
    return dashboard(below, start_response)

"""The dashboard beside a Flask application: ``flask --app web_flask run``, then /hotqueue/."""

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import hotqueue.web
from hotqueue import HotQueue

queue = HotQueue("shop", dbfilename="shop.rdb")
app = Flask(__name__)


@app.get("/")
def index() -> str:
    """Your own application."""
    return "the shop"


app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/hotqueue": hotqueue.web.wsgi(queue, users={"ann": "change-me"})})

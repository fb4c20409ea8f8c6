"""The dashboard in a FastAPI application, for those who may see it: ``uvicorn web_fastapi:app``, then /hotqueue/.

Starlette is the same: ``Starlette(routes=[Mount("/hotqueue", hotqueue.web.app(queue, authorize=authorize))])``.
"""

import os

from fastapi import FastAPI, Request

import hotqueue.web
from hotqueue import HotQueue

queue = HotQueue("shop", dbfilename="shop.rdb")
app = FastAPI()


def authorize(request: Request) -> hotqueue.web.Viewer | None:
    """Say who this is: here by a header; your session or single sign-on will know better."""
    if request.headers.get("x-api-key") == os.environ.get("ADMIN_KEY"):
        return hotqueue.web.Viewer("admin")
    if request.headers.get("x-api-key") == os.environ.get("SUPPORT_KEY"):
        return hotqueue.web.Viewer("support", rights=["retry"])
    return None


app.mount("/hotqueue", hotqueue.web.app(queue, authorize=authorize))

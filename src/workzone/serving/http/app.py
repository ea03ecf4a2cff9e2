"""The application: every route, the one boundary around them, the one form of an error.

Knows how the parts are put together and nothing else. The interactive documentation of FastAPI is left out: it loads
scripts from elsewhere. `/openapi.json` holds what it would show.
"""

from __future__ import annotations

from fastapi import FastAPI

from workzone import __version__
from workzone.serving.http import page
from workzone.serving.http.context import Context
from workzone.serving.http.errors import Boundary, add_error_handlers
from workzone.serving.http.model import model_router
from workzone.serving.http.openapi import DESCRIPTION
from workzone.serving.http.predict import predict_router
from workzone.serving.http.probes import probe_router


def create_app(context: Context) -> FastAPI:
    """Return the application over a service."""
    app = FastAPI(
        title="Workzone",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    context.metrics.watch(
        context.service.check,
        lambda: None if context.service.current is None else context.service.current.answerer,
    )
    add_error_handlers(app)
    app.add_middleware(Boundary, context=context)
    app.include_router(predict_router(context))
    app.include_router(model_router(context))
    app.include_router(probe_router(context))
    app.include_router(page.router)
    return app

"""The WSGI application that gunicorn serves."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "musicrec.settings")

if settings.TRACING:
    from musicrec import tracing

    tracing.start()

application = get_wsgi_application()

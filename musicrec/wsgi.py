"""The WSGI application that gunicorn serves."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from musicrec.postgres import silence

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "musicrec.settings")

if settings.TRACING:
    from musicrec import tracing

    tracing.start()

# Here and not in workers, which may wait: what they do is written down, and goes on by itself.
silence.watch.start()

application = get_wsgi_application()

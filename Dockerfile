# ── builder: an environment with the locked dependencies and batcher, made where its tools may stay behind ──
FROM python:3.12-slim-bookworm AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# The dependencies first: this layer is made again only when a lock file changes.
COPY requirements-build.lock ./
COPY config/requirements-fleet.lock ./
RUN python -m venv /opt/batcher
RUN /opt/batcher/bin/python -m pip install --require-hashes --only-binary :all: --requirement requirements-fleet.lock
RUN python -m venv /opt/build
RUN /opt/build/bin/python -m pip install --require-hashes --only-binary :all: --requirement requirements-build.lock

COPY pyproject.toml README.md CHANGELOG.md LICENSE ./
COPY docs ./docs
COPY config ./config
COPY batcher ./batcher
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /src/dist .
RUN /opt/batcher/bin/python -m pip install --no-deps --no-index /src/dist/*.whl
RUN /opt/batcher/bin/python -m pip uninstall --yes pip

# ── final: Python, the environment, and a user who may do nothing ──
FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="batcher" \
      org.opencontainers.image.description="Creates Huawei Cloud DRS comparison tasks in bulk" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/batcher/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

# Fixed numbers, so that a mounted directory can be given to this user: chown 10001:10001 results
RUN groupadd --gid 10001 batcher \
 && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin batcher \
 && install --directory --owner=batcher --group=batcher /manifests /results /data
COPY --from=builder /opt/batcher /opt/batcher
# Ready-made configurations, to be named with --config /etc/batcher/…
COPY config /etc/batcher

USER 10001:10001
# Manifests come in by the one (mount it read-only), results and the journal beside them go out by the other.
# What `batcher serve --listen 0.0.0.0:8080 --data /data/service` keeps stays in the third: see config/compose.yaml.
VOLUME ["/manifests", "/results", "/data"]
EXPOSE 8080
# Of a container that serves; one that runs another command is well as long as it runs.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --start-interval=2s --retries=3 \
    CMD ! grep --quiet --text --null-data --line-regexp serve /proc/1/cmdline || python -c \
    "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"
WORKDIR /results
ENTRYPOINT ["batcher"]
CMD ["--help"]

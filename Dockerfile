FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements-uv.lock requirements.lock requirements-dev.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements-uv.lock \
    && python -m venv --without-pip /opt/asissto
ENV VIRTUAL_ENV=/opt/asissto UV_LINK_MODE=copy UV_NO_CACHE=1
RUN uv pip sync --require-hashes requirements.lock
COPY . .
RUN uv build --wheel --require-hashes --build-constraints requirements-dev.lock \
    && uv pip install --no-deps dist/*.whl

FROM python:3.11-slim
# For scans, and for old Word, RTF and OpenDocument files; the product says so where they are missing.
ARG TOOLS="tesseract-ocr tesseract-ocr-rus tesseract-ocr-osd libreoffice-writer-nogui"
RUN test -z "$TOOLS" || { apt-get update && apt-get install --yes --no-install-recommends $TOOLS && rm -rf /var/lib/apt/lists/*; }
RUN useradd --uid 1000 --create-home asissto && install --directory --owner=asissto /data
COPY --from=build /opt/asissto /opt/asissto
ENV PATH=/opt/asissto/bin:$PATH PYTHONUNBUFFERED=1 \
    ASISSTO_DATA_DIR=/data ASISSTO_HOST=0.0.0.0 ASISSTO_LOG_FORMAT=json
USER asissto
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('ASISSTO_PORT') or 8000}/health/ready\")"]
CMD ["asissto", "up"]

# docker build -t anomalyncd .
# docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" anomalyncd
#
# Without further words the container runs the demo and writes it to /data/demo. Other commands follow
# the name of the image: `anomalyncd discover photos --out run`. examples/compose.yaml serves a model
# and watches a folder.
FROM python:3.11-slim

WORKDIR /build
COPY constraints.txt ./
# The build of torch without CUDA is smaller.
RUN pip install --no-cache-dir --constraint constraints.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu torch
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir --constraint constraints.txt ".[serve,mqtt]"

# Any user may run the container: caches lie in /data, too.
ENV ANOMALYNCD_CACHE=/data/.anomalyncd-cache \
    HF_HOME=/data/.anomalyncd-cache/huggingface \
    NUMBA_CACHE_DIR=/data/.anomalyncd-cache/numba
WORKDIR /data
USER nobody
ENTRYPOINT ["anomalyncd"]
CMD ["demo", "--out", "demo"]

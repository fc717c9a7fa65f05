# lehr with everything that pip brings, a C compiler and Icarus Verilog:
#     docker build -t lehr .
#     docker run --rm -v "$PWD:/models" lehr inspect model.nir
# The usual build of torch brings gigabytes of CUDA along. PyTorch's own site names the index of its
# builds for CPUs: docker build --build-arg PIP_EXTRA_INDEX_URL=ADDRESS -t lehr .
# Files that it writes belong to user 1000; another one: docker run --user "$(id -u)" -e HOME=/tmp ...

FROM python:3.11-slim AS build
COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:3.11-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ gcc iverilog libc6-dev make \
    && rm -rf /var/lib/apt/lists/*
ARG PIP_EXTRA_INDEX_URL
COPY constraints.txt /tmp/constraints.txt
COPY --from=build /wheels /tmp/wheels
RUN pip install --no-cache-dir -c /tmp/constraints.txt "$(echo /tmp/wheels/lehr-*.whl)[all]" \
    && rm -r /tmp/wheels /tmp/constraints.txt \
    && useradd --create-home --uid 1000 lehr
USER lehr
WORKDIR /models
ENTRYPOINT ["lehr"]
CMD ["--help"]

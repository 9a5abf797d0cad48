# fercache serve on a processor: docker build -t fercache . && docker run --rm -p 127.0.0.1:8000:8000 fercache
# With a GPU: docker build --build-arg TORCH=cu126 -t fercache-gpu . && docker run --rm --gpus all -p 127.0.0.1:8000:8000 fercache-gpu
FROM python:3.12-slim

ARG TORCH=cpu
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/${TORCH}

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY fercache fercache
RUN pip install --no-cache-dir ".[faces,serve]" && rm -rf /src

# Trained runs: docker run -v "$PWD/cache:/data/cache:ro" ... fercache serve --host 0.0.0.0 sigmoid-mask
RUN useradd --create-home --home-dir /data fercache
USER fercache
WORKDIR /data
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://localhost:8000/health', timeout=5)"]
ENTRYPOINT ["fercache"]
CMD ["serve", "--host", "0.0.0.0"]

# The app, on a CPU or (--build-arg TORCH=cuda) on an NVIDIA GPU:
#   docker build -t sdlm .
#   docker run -p 7860:7860 -v sdlm-cache:/home/sdlm/.cache sdlm
# The GPU needs `docker run --gpus all`. docs/server.md says more.
FROM python:3.12-slim

ARG TORCH=cpu
RUN useradd --create-home --uid 1000 sdlm
WORKDIR /home/sdlm/app
COPY requirements.txt .
# On Linux, pip's own torch brings CUDA along; the CPU's build comes from torch's index.
RUN if [ "$TORCH" = cpu ]; then \
      pip install --no-cache-dir "$(grep '^torch==' requirements.txt)" --index-url https://download.pytorch.org/whl/cpu; \
    fi && pip install --no-cache-dir -r requirements.txt
COPY app.py README.md ./
COPY app app
COPY sdlm_core sdlm_core
COPY assets assets
RUN mkdir -p /home/sdlm/.cache && chown sdlm /home/sdlm/.cache
USER sdlm
ENV SDLM_HOST=0.0.0.0 SDLM_PORT=7860 PYTHONDONTWRITEBYTECODE=1
EXPOSE 7860
VOLUME /home/sdlm/.cache
HEALTHCHECK --interval=30s --timeout=10s --start-period=3m \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/config', timeout=8)"]
CMD ["python", "app.py"]

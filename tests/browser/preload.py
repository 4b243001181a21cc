"""What the apps of `apps` import, imported once; nothing here may start a thread, which a fork would not have."""

from __future__ import annotations

import os
import threading

os.environ.update(GRADIO_ANALYTICS_ENABLED="False", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import tqdm
import transformers.models.llama.modeling_llama  # noqa: F401

import app.page  # noqa: F401
import sdlm_core
import sdlm_core.models.heap
import sdlm_core.serve.models  # noqa: F401
import tests.app.sweep_data
import tests.app.synthetic
import tests.browser.tiny  # noqa: F401
from sdlm_core import load_model  # noqa: F401

tqdm.tqdm.set_lock(threading.RLock())  # not one for several processes, which a killed app would leave behind

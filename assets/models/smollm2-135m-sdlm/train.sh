#!/bin/sh
# Makes the adapter beside this file anew, from nothing but the base weights: data, training, and the files that ship.
#
#     sh assets/models/smollm2-135m-sdlm/train.sh WORK_FOLDER [options of `python -m sdlm_core retrofit`]
#
# As it stands it is for one GPU: 20,000 conversations of the base's own, 200,000 problems, an hour of training on tens
# of millions of rows. Killed, it goes on where it was when called again with --resume. CHATS and PROBLEMS (environment)
# set the amounts. Afterwards: python -m sdlm_core sweep --shipped --fresh
set -eu
work=${1:?give a folder to work in}
shift
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-$(test -x .venv/bin/python && echo .venv/bin/python || echo python)}
mkdir -p "$work"
base=$($python -c 'from sdlm_core import builtin; print(builtin.ensure_base())')

$python -m sdlm_core synthesize chat --model "$base" --output "$work/chat.jsonl" --count "${CHATS:-20000}" --batch 256
$python -m sdlm_core synthesize problems --output "$work/problems.jsonl" --count "${PROBLEMS:-200000}" --seed 1
cat > "$work/mix.json" <<MIX
{"sources": [
  {"path": "chat.jsonl", "weight": 0.5, "group": "chat", "self_distilled": true},
  {"path": "problems.jsonl", "weight": 0.5, "group": "problems"}
]}
MIX
$python -m sdlm_core retrofit --model "$base" --base-name builtin-base --data "$work/mix.json" --output "$work/run" \
  --mask-token '<empty_output>' --block-size 8 --block-density 0.2 --text-loss 1 --teacher-temperature 0.35 \
  --lora-rank 64 --lora-alpha 64 --learning-rate 5e-4 --warmup-steps 100 --rows-per-step 65536 \
  --rows-per-pass 16384 --minutes 60 --seed 1 "$@"
cp "$work"/run/adapter/adapter_config.json "$work"/run/adapter/adapter_model.safetensors \
  "$work"/run/adapter/sdlm_config.json "$work"/run/training_log.jsonl "$here"

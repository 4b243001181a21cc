#!/bin/sh
# Makes the adapter and the sampler beside this file anew, from nothing but the base weights: data, training, and the
# files that ship.
#
#     sh assets/models/smollm2-135m-sdlm/train.sh WORK_FOLDER [options of `python -m sdlm_core retrofit`]
#
# As it stands it is for one GPU: 20,000 conversations of the base's own, a third of them of several turns, 200,000
# problems, an hour of training on tens of millions of rows; then 30,000 conversations that the result answers, and an
# hour for the sampler. Killed, it goes on where it was when called again with --resume. CHATS, PROBLEMS and OWN
# (environment) set the amounts; LIKE names a JSONL file with people's prompts, to write prompts like them. Afterwards:
# python -m sdlm_core sweep --shipped --fresh
set -eu
work=${1:?give a folder to work in}
shift
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-$(test -x .venv/bin/python && echo .venv/bin/python || echo python)}
mkdir -p "$work"
base=$($python -c 'from sdlm_core.models import builtin; print(builtin.ensure_base())')
problems=${PROBLEMS:-200000}

$python -m sdlm_core synthesize chat --model "$base" --output "$work/chat.jsonl" --count "${CHATS:-20000}" --batch 256 \
  --several 0.33 ${LIKE:+--like "$LIKE"}
$python -m sdlm_core synthesize problems --output "$work/problems.jsonl" --count "$problems" --seed 1
$python -m sdlm_core synthesize problems --output "$work/later.jsonl" --count "$((problems / 4))" --seed 2 \
  --after "$work/chat.jsonl"
cat > "$work/mix.json" <<MIX
{"sources": [
  {"path": "chat.jsonl", "weight": 0.45, "group": "chat", "self_distilled": true},
  {"path": "problems.jsonl", "weight": 0.4, "group": "problems"},
  {"path": "later.jsonl", "weight": 0.15, "group": "later"}
]}
MIX
test -e "$work/run/adapter" || $python -m sdlm_core retrofit --model "$base" --base-name builtin-base \
  --data "$work/mix.json" --output "$work/run" \
  --mask-token '<empty_output>' --block-size 8 --block-density 0.2 --text-loss 1 --teacher-temperature 0.35 \
  --lora-rank 64 --lora-alpha 64 --learning-rate 5e-4 --warmup-steps 100 --rows-per-step 65536 \
  --rows-per-pass 16384 --minutes 60 --seed 1 "$@"

# The sampler learns from what the finished model itself writes.
$python -m sdlm_core synthesize chat --model "$base" --answers-by "$work/run/adapter" --output "$work/own.jsonl" \
  --count "${OWN:-30000}" --batch 256 --seed 3 --max-new-tokens 128 --several 0.33 ${LIKE:+--like "$LIKE"}
cat > "$work/own.json" <<MIX
{"sources": [
  {"path": "own.jsonl", "weight": 0.8, "group": "own"},
  {"path": "problems.jsonl", "weight": 0.15, "group": "problems"},
  {"path": "later.jsonl", "weight": 0.05, "group": "later"}
]}
MIX
$python -m sdlm_core retrofit --model "$work/run/adapter" --data "$work/own.json" --output "$work/sampler" \
  --sampler-only --block-density 0.2 --held-out 0.05
cp "$work"/run/adapter/adapter_config.json "$work"/run/adapter/adapter_model.safetensors \
  "$work"/run/adapter/sdlm_config.json "$work"/run/training_log.jsonl "$work"/sampler/sampler.safetensors "$here"

#!/bin/sh
# Prints the Python that has what the matching benchmarks need: python.sh DIR. It is $PYTHON, or one of our own in DIR/venv,
# made where that is not there or was not finished.
set -eu
cd "$(dirname "$0")/../.."
if [ -n "${PYTHON:-}" ]; then
    echo "$PYTHON"
    exit 0
fi
wanted=scripts/bench-matching/requirements.txt
venv=$1/venv
if ! cmp -s "$wanted" "$venv/installed"; then
    scripts/need.sh python3=python3 pip3=python3-pip c++=g++ pkg-config=pkg-config >&2
    python3 -c 'import ensurepip' 2>/dev/null || scripts/need.sh python3-venv-of-debian=python3-venv >&2
    # PyPI vpdq is built against ffmpeg's libraries.
    scripts/need.sh libavdevice.pc=libavdevice-dev libavfilter.pc=libavfilter-dev libavformat.pc=libavformat-dev \
        libavcodec.pc=libavcodec-dev libswresample.pc=libswresample-dev libswscale.pc=libswscale-dev \
        libavutil.pc=libavutil-dev >&2
    python3 -m venv --clear "$venv" >&2
    "$venv/bin/pip" install --quiet --requirement "$wanted" >&2
    cp "$wanted" "$venv/installed"
fi
echo "$venv/bin/python"

#!/bin/sh
# Train 20 models, each one recorded by gitparams: 12 random forests and 8 neural networks.
# Takes about a minute. PYTHON names another interpreter than `python`.

set -euf    # f: the [64,32] of mlp.hidden is a value, not a file name pattern
cd "$(dirname "$0")"

if ! command -v gitparams >/dev/null; then
    echo "sweep.sh: gitparams is not on PATH. Install it first: pip install gitparams" >&2
    exit 127
fi

# record CONFIG KEY=VALUE...: train once with CONFIG, these values changed.
record() {
    config=$1
    shift
    params= settings=
    for pair in "$@"; do
        params="$params -p $pair"
        settings="$settings --set $pair"
    done
    # $params and $settings are several words each, so they stay unquoted.
    gitparams run --params "$config" $params --metrics metrics.json -- \
        "${PYTHON:-python}" train.py --config "$config" $settings
}

for criterion in gini entropy; do
    for depth in 2 8; do
        for trees in 5 40 150; do
            record conf/forest.yaml forest.criterion=$criterion forest.max_depth=$depth \
                forest.n_estimators=$trees
        done
    done
done

for hidden in [16] [64,32]; do
    for lr in 0.0003 0.003; do
        for seed in 0 1; do
            record conf/mlp.yaml mlp.hidden=$hidden mlp.lr=$lr seed=$seed
        done
    done
done

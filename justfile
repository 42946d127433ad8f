# Arguments reach the commands as they were given, globs unexpanded.
set positional-arguments

# List the recipes.
default:
    @just --list

# Run every pairing in every scenario and print where rules are lost.
matrix *ARGS:
    cargo run --release -- matrix "$@"

# Run all tests.
test *ARGS:
    cargo test "$@"

# What CI runs: format, lints, tests.
ci:
    bash .ci/run

# Check workflows, scripts and manifests: actionlint, shellcheck, Kubernetes' schema.
papers:
    bash .ci/papers

# Record anew the snapshots of what every build prints. BUILDS is a file as for --builds.
snapshots BUILDS='':
    IPTABLES_LAB_BUILDS="$1" INSTA_UPDATE=always cargo test --test native snapshots

# Make the report that is part of the binary from a recording or a JSON report.
publish FILE:
    cargo run --release -- publish "$1" --output reports/losses.json.xz

# Measure what lanes, commands and the lab's own work cost, in one run.
bench *ARGS:
    cargo bench --bench run -- "$@"

# Measure the pure parts, rules a second on one core: parse, compare, judge.
bench-pure *ARGS:
    cargo bench --bench pure -- "$@"

# The recipes of every day; `just` alone lists them.
_default:
    @just --list --unsorted

# serve on the embedded database
run *args:
    cargo run --bin guiche -- {{ args }}

# every test, on throwaway databases
test *args:
    cargo test --workspace {{ args }}

# kill the real program at every named point of the money path; POINTS_SEED=n repeats a run
points:
    cargo test --package guiche-app --features fail-points --test points

# measure the service under load beside the limits of its parts (wrk, pgbench); --quick for a minute, --help for more
bench *args:
    cargo bench --package guiche-app --bench load -- {{ args }}

# what the gate checks before the tests
check: fmt-check lint doc arch openapi-check

# formatting and lints, mended where a machine can
fix:
    cargo clippy --workspace --all-targets --all-features --fix --allow-dirty --allow-staged
    cargo fmt --all

fmt-check:
    cargo fmt --all --check

lint:
    cargo clippy --workspace --all-targets --all-features -- -D warnings

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps

# who may depend on whom; --self-test proves that the check can fail
arch *args:
    .ci/arch {{ args }}

# write docs/openapi.json from the code
openapi:
    cargo run --quiet --bin guiche -- openapi > docs/openapi.json

openapi-check:
    cargo run --quiet --bin guiche -- openapi | diff - docs/openapi.json

# the clients and fakes of the providers, against the vendors' OpenAPI documents in a directory (which are not in here)
providers *args:
    .ci/providers {{ args }}

# licences, sources and bans of all dependencies
deny:
    cargo deny check bans licenses sources

# the whole gate, as it runs for every change
gate:
    .ci/run

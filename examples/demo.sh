#!/bin/sh
# What `make demo` shows: one host is checked, planned, set up, spoiled and mended; then three hosts
# run a chain across them (demo.py).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
place=$(mktemp -d "${TMPDIR:-/tmp}/troth-demo.XXXXXX")
trap 'rm -rf "$place"' EXIT
export TROTH_WORKDIR="$place/host" TROTH_CACHE_DIR="$place/cache"
mkdir -m 700 "$TROTH_WORKDIR" "$TROTH_WORKDIR/etc"
mkdir "$place/policy"
cp "$here"/site/*.cf "$here"/site/*.json "$place/policy"
chmod -R go-w "$place/policy"
cd "$place/policy"

bold= plain=
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

# show CODE COMMAND: run it, and stop the demo if it ends with another exit code
show() {
  expected=$1
  shift
  printf '$ %s\n' "$*"
  status=0
  "$@" 2>&1 || status=$?
  if [ "$status" -ne "$expected" ]; then
    echo "the demo is broken: exit code $status, expected was $expected" >&2
    exit 1
  fi
}

say "This is a policy: promises about files, commands and reports. It lies in $place/policy,
and everything that it touches is below the work directory $TROTH_WORKDIR."
show 0 cat ssh.cf

say "1. Is the policy well formed? 'troth check' says what is wrong and what was probably meant."
sed -e 's/create /creat /' -e 's/no_passwords,/no_passwords/' ssh.cf > broken.cf
show 2 troth check broken.cf
show 0 troth check policy.cf

say "2. What would it change? 'troth plan' touches nothing. Exit code 6: there are changes (2), and
the outcome of a command is unknown until it runs (4)."
printf 'Port 22\nPermitRootLogin yes\nPasswordAuthentication yes\n' > "$TROTH_WORKDIR/etc/sshd_config"
show 6 troth plan policy.cf

say "3. Do it. Each line on stderr is a change; 'R:' lines are reports."
show 0 troth run policy.cf

say "4. Somebody changes the host by hand, and the next run mends it (-K: look again now). Where
nothing is wrong, nothing happens."
echo 'PermitRootLogin yes' >> "$TROTH_WORKDIR/etc/sshd_config"
show 0 troth run -K policy.cf
show 0 troth run -K policy.cf

cd "$here/.."
"${PYTHON:-python3}" -m examples.demo
